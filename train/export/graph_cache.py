"""The ONNX graphs of architectures, kept in the user's cache: to trace one takes torch ten seconds.

A file holds the graph without the numbers of the module it was made from, which are filled in from
the module at hand. Its name says all that the graph depends on, as far as that can be told; so a
program of a kept graph is compared with its module before it is used.
"""

import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from common.files import write_bytes
from train.models.onnx_program import Program

VERSION = 1  # of how a graph is kept
MOST = 64  # graphs that are kept, of about 100 kB each
CLOSE = 1e-3  # of the root mean square of the module's own answers
SETTINGS = (bool, int, float, str, tuple, list, type(None))


def architecture_of(module: nn.Module, example: torch.Tensor, names: Sequence[str]) -> str:
    """32 hexadecimal digits of all but the numbers that a module's graph depends on.

    example: an input; names: of the input and the outputs.
    """
    about = [VERSION, *(version(name) for name in ("torch", "onnx", "onnxscript", "timm"))]
    about += [tuple(example.shape), example.dtype, tuple(names), repr(module)]
    about += [(key, tuple(one.shape), one.dtype) for key, one in numbers_of(module).items()]
    about += [
        (path, key, value)
        for path, child in module.named_modules()
        for key, value in vars(child).items()
        if isinstance(value, SETTINGS)
    ]
    return blake2b(repr(about).encode(), digest_size=16).hexdigest()


def numbers_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter and buffer, also one of two names, by its names."""
    numbers = dict(module.named_parameters(remove_duplicate=False))
    return numbers | dict(module.named_buffers(remove_duplicate=False))


def without_numbers(program: onnx.ModelProto, module: nn.Module) -> onnx.ModelProto:
    """The program, whose tensors that are the module's have lost their contents."""
    numbers = numbers_of(module)
    for tensor in program.graph.initializer:
        if tensor.name in numbers:
            tensor.ClearField("raw_data")
    return program


def with_numbers(graph: onnx.ModelProto, module: nn.Module) -> onnx.ModelProto:
    """The graph with the module's parameters and buffers."""
    numbers = numbers_of(module)
    for tensor in graph.graph.initializer:
        if tensor.name in numbers:
            values = numbers[tensor.name].detach().contiguous().numpy()
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return graph


def read_graph(file: Path) -> onnx.ModelProto | None:
    """The graph in a file; None if there is none, or it is not as it was written."""
    try:
        graph = onnx.load_from_string(zlib.decompress(file.read_bytes()))
        os.utime(file)  # used now: the last to be removed
    except (OSError, zlib.error):
        return None
    return graph


def keep_graph(file: Path, graph: onnx.ModelProto) -> None:
    """Write a graph and remove those used longest ago, if the folder can be written to."""
    with suppress(OSError):
        write_bytes(file, zlib.compress(graph.SerializeToString()))
        files = sorted(file.parent.glob("*.graph"), key=lambda one: one.stat().st_mtime)
        for old in files[:-MOST]:
            old.unlink(missing_ok=True)


def answers_alike(program: onnx.ModelProto, module: nn.Module, example: torch.Tensor) -> bool:
    """Whether a program answers three random inputs like the example's as the module does."""
    random, shape = np.random.default_rng(0), (3, *example.shape[1:])
    inputs = (
        random.standard_normal(shape, dtype=np.float32)
        if example.dtype.is_floating_point
        else random.integers(0, 256, shape, dtype=np.uint8)
    )
    try:
        theirs = Program(program.SerializeToString(), n_threads=1).run(inputs)
    except ValueError:
        return False
    answer = module(torch.from_numpy(inputs))
    ours = [one.numpy() for one in (answer if isinstance(answer, tuple) else (answer,))]
    return len(theirs) == len(ours) and all(map(_close, theirs, ours))


def _close(found: np.ndarray, truth: np.ndarray) -> bool:
    if found.shape != truth.shape:
        return False
    error, size = np.square(found - truth).mean(), np.square(truth).mean()
    return bool(np.sqrt(error) <= CLOSE * np.sqrt(size))
