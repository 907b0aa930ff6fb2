"""model.onnx: a network whose facts are its metadata. Reading it needs no torch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from common.files import write_bytes
from train.models.facts import ModelFacts
from train.models.onnx_program import MAX_BYTES, Program, metadata

if TYPE_CHECKING:
    import onnx


def save(file: Path, program: "onnx.ModelProto", facts: ModelFacts) -> None:
    """Write the program; the facts of its model file are JSON under the metadata key "facts"."""
    import onnx

    onnx.helper.set_model_props(program, {"facts": json.dumps(facts.to_dict())})
    write_bytes(file, program.SerializeToString())


def load(file: Path) -> tuple[Program, ModelFacts]:
    """(program, facts) of a model.onnx; ValueError with one line if it is not one.

    The facts are checked before anything of the program is believed.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ValueError("larger than any ONNX program")
        data = file.read_bytes()
        facts = ModelFacts.from_dict(json.loads(metadata(data).get("facts", "null")))
        return Program(data), facts
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{file} is no model file of Spectrofold ({reason})") from None
