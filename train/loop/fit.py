"""The one training loop: epochs of SGD, the rate stepped by the validation loss, the best kept."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3
from torch import nn

from train.config import TrainConfig
from train.devices.distributed import gathered, summed
from train.loop.inference import Batch, apply, progress_bar
from train.loop.micro_batch import Parts
from train.loop.mixup import mixing
from train.loop.optim import make_optimizer, planned_rate, plateau, set_rate
from train.loop.train_step import Loss, Step

Row = dict[str, Any]


@dataclass
class Progress:
    """Where a fold stands: what a checkpoint holds, and all that resuming needs.

    history: one row per epoch; best_*: the epoch with the lowest validation loss, its weights and
    its validation logits (n, C); averaged: the mean of the weights over the steps, where there is
    one; optimizer, scheduler: state between epochs.
    """

    epoch: int = 0
    stale: int = 0  # epochs since the best one
    steps: int = 0
    history: list[Row] = field(default_factory=list)
    best_loss: float = float("inf")
    best_row: int = -1
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    best_logits: torch.Tensor | None = None
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    averaged: dict[str, torch.Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """One stretch of training: its name, rate, length, and the batches of an epoch.

    patience, plateau_patience: epochs without a lower validation loss before the phase stops, and
    before its rate drops. rates: the learning rate of every epoch, with nothing to validate on;
    None where the validation loss decides. together: every process has its share of each batch
    and of the validation batches; else all is this process's own. compiled: by torch.compile.
    """

    name: str
    learning_rate: float
    n_epochs: int
    patience: int
    plateau_patience: int
    train_batches: Callable[[int], Iterable[Batch]]
    validation_batches: Callable[[], Iterable[Batch]]
    validation_labels: np.ndarray
    class_weights: torch.Tensor | None
    rates: list[float] | None = None
    together: bool = False
    compiled: bool = False


def train_one_epoch(step: Step, batches: Iterable[Batch]) -> float:
    """One pass over the batches; returns the mean loss per picture."""
    step.model.train()
    seen = torch.zeros(2, device=step.fabric.device)
    for images, labels in progress_bar(batches, "training"):
        seen[0] += step(images, labels)  # no .item() here: it would wait for the device
        seen[1] += len(labels)
    total, n = (summed(step.fabric, seen) if step.together else seen).tolist()
    return total / n


def fit(
    fabric: Fabric,
    model: nn.Module,
    phase: Phase,
    config: TrainConfig,
    progress: Progress,
    *,
    seed: int,
    on_epoch: Callable[[Progress, Row], None],
    parts: Parts | None = None,
) -> None:
    """Train `model` through one phase, from where `progress` stands; leaves its best in it.

    The randomness of an epoch depends on the seed and its number alone, so that an interrupted
    fold goes on exactly as if it had not been.
    """
    step, scheduler = _set_up(fabric, model, phase, config, progress, parts or Parts())
    tested = step.averaged.module if step.averaged else step.model
    kept = step.averaged.module if step.averaged else model
    n_epochs = phase.n_epochs if phase.rates is None else len(phase.rates)
    while progress.epoch < n_epochs and progress.stale < phase.patience:
        progress.epoch += 1
        _set_rate(step.optimizer, phase, config, progress.epoch, n_epochs)
        row: Row = {"phase": phase.name, "epoch": progress.epoch}
        row["learning_rate"] = step.optimizer.param_groups[0]["lr"]
        epoch_seed = seed * 10_007 + progress.epoch
        torch.manual_seed(epoch_seed + (1_000_003 * fabric.global_rank if phase.together else 0))
        row["train_loss"] = train_one_epoch(step, phase.train_batches(epoch_seed))
        if phase.rates is None:
            row |= evaluate(fabric, tested, kept, phase, progress, step.loss)
            if config.schedule == "plateau" or phase.name == "head":
                scheduler.step(row["validation_loss"])
        else:
            progress.best_row, progress.best_weights = len(progress.history), _on_cpu(kept)
        progress.history.append(row)
        progress.steps, progress.weights = step.n, _on_cpu(model)
        progress.averaged = _on_cpu(kept) if step.averaged else {}
        progress.optimizer = copy.deepcopy(step.optimizer.state_dict())
        progress.scheduler = scheduler.state_dict()
        on_epoch(progress, row)


def _set_up(
    fabric: Fabric,
    model: nn.Module,
    phase: Phase,
    config: TrainConfig,
    progress: Progress,
    parts: Parts,
) -> tuple[Step, torch.optim.lr_scheduler.ReduceLROnPlateau]:
    """What a step needs, and the scheduler, both as `progress` left them."""
    head_only = phase.name == "head"
    optimizer = make_optimizer(
        model, learning_rate=phase.learning_rate, config=config, head_only=head_only
    )
    scheduler = plateau(optimizer, config, phase.plateau_patience)
    network: Any = torch.compile(model) if phase.compiled else model
    wrapped, optimizer = fabric.setup(network, optimizer)
    if progress.optimizer:
        model.load_state_dict(progress.weights)
        optimizer.load_state_dict(progress.optimizer)
        scheduler.load_state_dict(progress.scheduler)
    step = Step(
        fabric, wrapped, optimizer, Loss(phase.class_weights, config.label_smoothing), parts,
        together=phase.together and fabric.world_size > 1, n=progress.steps,
    )  # fmt: skip
    if not head_only:
        head: Any = model.head
        step.mix = mixing(config, head.out_features)
        if config.ema:
            step.averaged = ModelEmaV3(model, decay=config.ema, use_warmup=True)
            if progress.averaged:
                step.averaged.module.load_state_dict(progress.averaged)
    return step, scheduler


def _set_rate(optimizer: Any, phase: Phase, config: TrainConfig, epoch: int, n_epochs: int) -> None:
    rate = phase.rates[epoch - 1] if phase.rates is not None else None
    if rate is None and phase.name != "head":
        rate = planned_rate(config, epoch, n_epochs)
    if rate is not None:
        set_rate(optimizer, rate)


def evaluate(
    fabric: Fabric,
    tested: nn.Module,
    kept: nn.Module,
    phase: Phase,
    progress: Progress,
    loss_of: Loss,
) -> Row:
    """Validation loss and accuracy; `progress` keeps the weights with the lowest loss.

    tested: what answers; kept: the module whose weights these are; loss_of: the loss of training,
    smoothed labels included: by another, answers would be best before they have been learnt.
    """
    tested.eval()
    with fabric.autocast():
        logits = apply(tested, phase.validation_batches(), fabric.device)
    if phase.together:
        logits = gathered(fabric, logits)
    labels = phase.validation_labels
    loss = loss_of.mean(torch.from_numpy(logits), torch.from_numpy(labels))
    if loss < progress.best_loss:
        progress.best_loss, progress.stale = loss, 0
        progress.best_row = len(progress.history)
        progress.best_weights = _on_cpu(kept)
        progress.best_logits = torch.from_numpy(logits)
    else:
        progress.stale += 1
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    return {"validation_loss": loss, "validation_accuracy": accuracy}


def _on_cpu(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}
