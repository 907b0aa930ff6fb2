"""model.onnx: the network with its facts as metadata, for prediction without torch."""

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from common.files import write_whole
from train.models.classifier import Classifier


def write_onnx(file: Path, model: Classifier, facts: dict[str, Any]) -> None:
    """Write the network as ONNX: input uint8 (B, 3, height, width), output float32 logits (B, C).

    The facts of the model file, without its weights, are JSON under the metadata key "facts".
    """
    spec = facts["image"]
    images = torch.zeros(2, 3, spec["height"], spec["width"], dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    model = model.eval().cpu().to(memory_format=torch.contiguous_format)
    # Without gradients: their graph would be traced too, a sixth of the time.
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter's own deprecations are not the user's matter
        program = torch.onnx.export(
            model,
            (images,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: "batch"},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch made no ONNX program of this network")
    plain = {key: value for key, value in facts.items() if key != "weights"}
    program.model.metadata_props["facts"] = json.dumps(plain)
    write_whole(file, lambda temporary: program.save(temporary, external_data=False))
