"""model.onnx: a network whose facts are its metadata. Reading it needs no torch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.files import write_whole

if TYPE_CHECKING:
    import onnx

NEEDED = ("classes", "image", "temperature", "render")


def save(file: Path, program: "onnx.ModelProto", facts: dict[str, Any]) -> None:
    """Write the program; the facts of its model file are JSON under the metadata key "facts"."""
    import onnx

    plain = {key: value for key, value in facts.items() if key != "weights"}
    onnx.helper.set_model_props(program, {"facts": json.dumps(plain)})
    write_whole(file, lambda temporary: onnx.save(program, str(temporary)))


def load(file: Path) -> tuple[Any, dict[str, Any]]:
    """(onnxruntime's session, facts) of a model.onnx; ValueError with one line if it is not one."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        facts = json.loads(session.get_modelmeta().custom_metadata_map["facts"])
        if missing := [key for key in NEEDED if key not in facts]:
            raise KeyError(f"its facts lack {', '.join(missing)}")
    except Exception as error:  # onnxruntime raises its own kinds for each way a file is damaged
        reason = (str(error).splitlines() or [""])[0][:100]
        raise ValueError(f"{file} is no model file of Spectrofold ({reason})") from None
    return session, facts
