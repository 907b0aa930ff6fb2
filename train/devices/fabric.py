"""Which devices train, and in which precision."""

import atexit
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import distributed as dist

from common.progress import is_first_process
from train.devices.distributed import Together
from train.devices.launch import end_with_parent
from train.devices.malloc import keep_freed_memory


def make_fabric(
    accelerator: str,
    precision: str,
    *,
    n_devices: int = 1,
    n_nodes: int = 1,
    strategy: str = "auto",
) -> Fabric:
    """Fabric on these devices, launched; ValueError when this machine has no such accelerator.

    precision "auto" is bf16-mixed where the processor computes bfloat16 itself: measured there, a
    ResNet50 trains 3 times as fast as in float32. Started by torchrun, its numbers count.
    """
    keep_freed_memory()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        n_devices = int(os.environ["LOCAL_WORLD_SIZE"])
        n_nodes = int(os.environ["WORLD_SIZE"]) // n_devices
    options: dict[str, Any] = {"accelerator": accelerator, "devices": n_devices}
    together = strategy == "ddp" or n_devices * n_nodes > 1
    with quiet_loggers(logging.WARNING, "lightning_fabric", "lightning.fabric"):
        try:
            if precision == "auto":
                device = Fabric(**options, precision="32-true").device
                precision = "bf16-mixed" if has_bf16(device) else "32-true"
            if together:
                options |= {"strategy": Together(), "num_nodes": n_nodes}
            fabric = Fabric(**options, precision=precision)  # type: ignore[arg-type]
        except (RuntimeError, ValueError, MisconfigurationException) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"--accelerator {accelerator}: {reason}") from None
        if together:
            end_with_parent()
            fabric.launch()
            atexit.register(_leave_group)
    return fabric


def _leave_group() -> None:
    """Gloo's threads end here: left to the interpreter's own end, they abort it now and then."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def quiet_loggers(level: int, *names: str) -> Iterator[None]:
    """Inside, these loggers say nothing below a level; afterwards they are as before."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, before in zip(loggers, levels, strict=True):
            logger.setLevel(before)


@contextmanager
def first_speaks() -> Iterator[None]:
    """Inside, only the first of several processes prints: it speaks for all."""
    if is_first_process():
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nothing, redirect_stdout(nothing):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes on one core: where steps are tiny, threads wait more than they work.

    Fitting a last layer took 1.5 s so, and 4 to 25 s on two cores that others used as well.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def has_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16, rather than imitating them slowly."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def describe(fabric: Fabric) -> str:
    """The devices' name and the precision, as "cpu, bf16-mixed" or "4 x NVIDIA H200, ..."."""
    device, n = fabric.device, fabric.world_size
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{f'{n} x ' if n > 1 else ''}{name}, {fabric._precision.precision}"
