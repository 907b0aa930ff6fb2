"""A torch module as an ONNX program."""

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn

from data.images.read import ImageSpec
from train.devices.fabric import quiet_loggers

if TYPE_CHECKING:
    import onnx


def picture_program(module: nn.Module, spec: ImageSpec) -> "onnx.ModelProto":
    """`program_of` a classifier: "images" uint8 (B, 3, height, width) to "logits" (B, C)."""
    images = torch.zeros(2, 3, spec.height, spec.width, dtype=torch.uint8)
    return program_of(module.to(memory_format=torch.contiguous_format), images, "images")


def program_of(module: nn.Module, example: torch.Tensor, name: str) -> "onnx.ModelProto":
    """The module as an ONNX program from one input, called `name`, to float32 "logits" (B, C).

    example: an input, whose first axis may have any length.
    """
    # Without gradients: their graph would be traced too, a sixth of the time.
    with (
        torch.no_grad(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        quiet_loggers(logging.ERROR, "torch.onnx"),
    ):
        warnings.simplefilter("ignore")  # the exporter's own deprecations are not the user's matter
        program = torch.onnx.export(
            module.eval().cpu(),
            (example,),
            input_names=[name],
            output_names=["logits"],
            dynamic_shapes=({0: "batch"},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch made no ONNX program of this network")
    return program.model_proto
