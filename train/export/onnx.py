"""A torch module as an ONNX program."""

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from onnx_ir import serde
from torch import nn

from data.images.read import ImageSpec
from train.devices.fabric import quiet_loggers
from train.export.graph_cache import (
    answers_alike,
    architecture_of,
    keep_graph,
    read_graph,
    with_numbers,
    without_numbers,
)
from train.models.onnx_program import EMBEDDINGS

if TYPE_CHECKING:
    import onnx


def picture_program(
    module: nn.Module, spec: ImageSpec, kept: Path | None = None
) -> "onnx.ModelProto":
    """A classifier as an ONNX program from "images" uint8 (B, 3, height, width).

    Its outputs are "logits" float32 (B, C) and the "embeddings" (B, F) that they are made of. kept:
    as of `program_of`.
    """
    images = torch.zeros(2, 3, spec.height, spec.width, dtype=torch.uint8)
    both = _WithEmbeddings(module.to(memory_format=torch.contiguous_format))
    return program_of(both, images, "images", outputs=("logits", EMBEDDINGS), kept=kept)


class _WithEmbeddings(nn.Module):
    """A classifier or an ensemble that answers with its embeddings as well."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both: tuple[torch.Tensor, torch.Tensor] = self.model.logits_and_embeddings(images)
        return both


def program_of(
    module: nn.Module,
    example: torch.Tensor,
    name: str,
    outputs: Sequence[str] = ("logits",),
    kept: Path | None = None,
) -> "onnx.ModelProto":
    """The module as an ONNX program from one input, called `name`, to its outputs by their names.

    example: an input, whose first axis may have any length. kept: the folder in which graphs of
    architectures are kept, if they are.
    """
    module = module.eval().cpu()
    # Without gradients: their graph would be traced too, a sixth of the time.
    with (
        torch.no_grad(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        quiet_loggers(logging.ERROR, "torch.onnx"),
    ):
        warnings.simplefilter("ignore")  # the exporter's own deprecations are not the user's matter
        if kept is not None:
            file = kept / f"{architecture_of(module, example, (name, *outputs))}.graph"
            if program := _of_kept(file, module, example):
                return program
        traced = _traced(module, example, name, outputs)
        if kept is not None:
            keep_graph(file, without_numbers(traced.model_proto, module))
        traced.optimize()
        return _without_places(traced.model_proto)


def _traced(
    module: nn.Module, example: torch.Tensor, name: str, outputs: Sequence[str]
) -> torch.onnx.ONNXProgram:
    """The module's operations one by one, as torch traces them."""
    program = torch.onnx.export(
        module,
        (example,),
        input_names=[name],
        output_names=list(outputs),
        dynamic_shapes=({0: "batch"},),
        dynamo=True,
        verbose=False,
        optimize=False,
    )
    if program is None:
        raise ValueError("torch made no ONNX program of this network")
    return program


def _of_kept(file: Path, module: nn.Module, example: torch.Tensor) -> "onnx.ModelProto | None":
    """The program of a kept graph; None if there is none that answers as the module does."""
    graph = read_graph(file)
    if graph is None:
        return None
    try:
        filled = serde.deserialize_model(with_numbers(graph, module))
    except serde.SerdeError:  # torch gave a buffer and a result one name
        return None
    whole = torch.onnx.ONNXProgram(filled, None)
    whole.optimize()
    program = _without_places(whole.model_proto)
    return program if answers_alike(program, module, example) else None


def _without_places(program: "onnx.ModelProto") -> "onnx.ModelProto":
    """The program without the lines of code, in whose folders, that torch found operations in.

    Operations are called by their kind and number, as torch calls them by what it did before.
    """
    graph = program.graph
    for one in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        one.ClearField("metadata_props")
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
    return program
