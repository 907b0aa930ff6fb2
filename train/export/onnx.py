"""A torch module as an ONNX program."""

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from data.images.read import ImageSpec
from train.devices.fabric import quiet_loggers
from train.models.onnx_program import EMBEDDINGS

if TYPE_CHECKING:
    import onnx


def picture_program(module: nn.Module, spec: ImageSpec) -> "onnx.ModelProto":
    """A classifier as an ONNX program from "images" uint8 (B, 3, height, width).

    Its outputs are "logits" float32 (B, C) and the "embeddings" (B, F) that they are made of.
    """
    images = torch.zeros(2, 3, spec.height, spec.width, dtype=torch.uint8)
    both = _WithEmbeddings(module.to(memory_format=torch.contiguous_format))
    return program_of(both, images, "images", outputs=("logits", EMBEDDINGS))


class _WithEmbeddings(nn.Module):
    """A classifier or an ensemble that answers with its embeddings as well."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both: tuple[torch.Tensor, torch.Tensor] = self.model.logits_and_embeddings(images)
        return both


def program_of(
    module: nn.Module, example: torch.Tensor, name: str, outputs: Sequence[str] = ("logits",)
) -> "onnx.ModelProto":
    """The module as an ONNX program from one input, called `name`, to its outputs by their names.

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
            output_names=list(outputs),
            dynamic_shapes=({0: "batch"},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch made no ONNX program of this network")
    return program.model_proto
