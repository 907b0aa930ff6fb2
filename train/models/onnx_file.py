"""model.onnx: a network whose facts are its metadata. Reading it needs no torch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.files import write_bytes
from train.models.facts import ModelFacts

if TYPE_CHECKING:
    import onnx


def save(file: Path, program: "onnx.ModelProto", facts: ModelFacts) -> None:
    """Write the program; the facts of its model file are JSON under the metadata key "facts"."""
    import onnx

    onnx.helper.set_model_props(program, {"facts": json.dumps(facts.to_dict())})
    write_bytes(file, program.SerializeToString())


def load(file: Path) -> tuple[Any, ModelFacts]:
    """(onnxruntime's session, facts) of a model.onnx; ValueError with one line if it is not one."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map["facts"]
        facts = ModelFacts.from_dict(json.loads(metadata))
    except Exception as error:  # onnxruntime raises its own kinds for each way a file is damaged
        reason = (str(error).splitlines() or [""])[0][:100]
        raise ValueError(f"{file} is no model file of Spectrofold ({reason})") from None
    return session, facts
