"""Several processes that train one model together: who goes first, and what they add up."""

import contextlib
import datetime
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import nn

from train.devices.launch import LOST


class Together(DDPStrategy):
    """Fabric's processes and their group, the gradients added up by `average` after each batch.

    torch's own wrapper adds them up while they are computed: there, a process that runs out of
    memory could not repeat its part without the others waiting for it for ever.
    """

    def __init__(self) -> None:
        # A day: the others wait while the first one reads a million pictures.
        super().__init__(timeout=datetime.timedelta(days=1))

    def setup_module(self, module: nn.Module) -> Any:
        """The module as it is."""
        return module


@contextlib.contextmanager
def _with_the_others(fabric: Fabric) -> Iterator[None]:
    """Ends this process, with a code of its own, when another one has gone.

    The first says nothing on the terminal that it has: `launch` knows better what happened.
    """
    try:
        yield
    except RuntimeError as error:
        first_line = str(error).split("\n")[0]
        if not fabric.is_global_zero:
            print(f"error: lost the other processes ({first_line})", file=sys.stderr)
        sys.exit(LOST)


@contextlib.contextmanager
def first(fabric: Fabric) -> Iterator[None]:
    """What is inside is done by the first process of each machine, and then by the others."""
    if fabric.local_rank > 0:
        barrier(fabric)
    yield
    if fabric.local_rank == 0:
        barrier(fabric)


def barrier(fabric: Fabric) -> None:
    """Wait until every process is here."""
    with _with_the_others(fabric):
        fabric.barrier()


def agreed(fabric: Fabric, value: Any) -> Any:
    """The first process's value, in every process."""
    if fabric.world_size == 1:
        return value
    with _with_the_others(fabric):
        return fabric.broadcast(value)


def share(fabric: Fabric, positions: np.ndarray) -> np.ndarray:
    """This process's stretch of the positions: every one is in exactly one process's."""
    n, rank = len(positions), fabric.global_rank
    return positions[n * rank // fabric.world_size : n * (rank + 1) // fabric.world_size]


def gathered(fabric: Fabric, rows: np.ndarray) -> np.ndarray:
    """The rows of all processes, in their order; a process may have none."""
    if fabric.world_size == 1:
        return rows
    parts: list[Any] = [None] * fabric.world_size
    with _with_the_others(fabric):
        torch.distributed.all_gather_object(parts, rows)
    return np.concatenate([part for part in parts if len(part)])


def summed(fabric: Fabric, numbers: torch.Tensor) -> torch.Tensor:
    """The sum of the tensor over all processes."""
    if fabric.world_size == 1:
        return numbers
    with _with_the_others(fabric):
        return fabric.all_reduce(numbers, reduce_op="sum")  # type: ignore[return-value]


def average(fabric: Fabric, parameters: Iterable[nn.Parameter], weight: torch.Tensor) -> None:
    """Replace gradients by their mean over all processes, each counted by its weight, a scalar.

    weight: of this process's part of the batch, 0 if it has none; then its gradients may be None.
    """
    if fabric.world_size == 1:
        return
    trained = [p for p in parameters if p.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    flat = torch.cat([(g * weight).flatten() for g in gradients] + [weight.reshape(1).float()])
    flat = summed(fabric, flat)
    flat = flat[:-1] / flat[-1]
    for parameter, part in zip(trained, flat.split([p.numel() for p in trained]), strict=True):
        parameter.grad = part.view_as(parameter)
