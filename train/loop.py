"""The one training loop: epochs of SGD, the rate stepped by the validation loss, the best kept."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn.functional import cross_entropy

from train.config import TrainConfig
from train.inference import Batch, apply, progress_bar

Row = dict[str, Any]
MAX_GRADIENT_NORM = 1.0


@dataclass
class Progress:
    """Where a fold stands: what a checkpoint holds, and all that resuming needs.

    history: one row per epoch; best_*: the epoch with the lowest validation loss, its weights and
    its validation logits (n, C); optimizer, scheduler: state between epochs.
    """

    epoch: int = 0
    stale: int = 0  # epochs since the best one
    history: list[Row] = field(default_factory=list)
    best_loss: float = float("inf")
    best_row: int = -1
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    best_logits: torch.Tensor | None = None
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """One stretch of training: its name, rate, length, and the batches of an epoch.

    patience, plateau_patience: epochs without a lower validation loss before the phase stops, and
    before its rate drops. rates: the learning rate of every epoch, with nothing to validate on;
    None where the validation loss decides.
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


def train_one_epoch(
    fabric: Fabric,
    model: nn.Module,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    class_weights: torch.Tensor | None,
) -> float:
    """One pass over the batches; returns the mean loss per picture."""
    model.train()
    total = torch.zeros((), device=fabric.device)
    n = 0
    for images, labels in progress_bar(
        batches, "training"
    ):  # (B, 3, H, W) uint8 or (B, F) float32, (B,) int64
        images = images.to(fabric.device, non_blocking=True)
        labels = labels.to(fabric.device, non_blocking=True)
        loss = cross_entropy(model(images), labels, weight=class_weights)
        optimizer.zero_grad()
        fabric.backward(loss)
        # A bound on a step: at the usual rates a pretrained network can otherwise leave its weights
        # in the first epoch for good (losses of 100 and more were seen).
        fabric.clip_gradients(model, optimizer, max_norm=MAX_GRADIENT_NORM)
        optimizer.step()
        total += loss.detach() * len(labels)  # no .item() here: it would wait for the device
        n += len(labels)
    return total.item() / n


def fit(
    fabric: Fabric,
    model: nn.Module,
    phase: Phase,
    config: TrainConfig,
    progress: Progress,
    *,
    seed: int,
    on_epoch: Callable[[Progress, Row], None],
) -> None:
    """Train `model` through one phase, from where `progress` stands; leaves its best in it.

    The randomness of an epoch depends on the seed and its number alone, so that an interrupted
    fold goes on exactly as if it had not been.
    """
    optimizer, scheduler = _stepping(model, phase, config)
    wrapped, optimizer = fabric.setup(model, optimizer)
    if progress.optimizer:
        model.load_state_dict(progress.weights)
        optimizer.load_state_dict(progress.optimizer)
        scheduler.load_state_dict(progress.scheduler)
    n_epochs = phase.n_epochs if phase.rates is None else len(phase.rates)
    while progress.epoch < n_epochs and progress.stale < phase.patience:
        progress.epoch += 1
        if phase.rates is not None:
            optimizer.param_groups[0]["lr"] = phase.rates[progress.epoch - 1]
        row: Row = {"phase": phase.name, "epoch": progress.epoch}
        row["learning_rate"] = optimizer.param_groups[0]["lr"]
        epoch_seed = seed * 10_007 + progress.epoch
        torch.manual_seed(epoch_seed)
        batches = phase.train_batches(epoch_seed)
        row["train_loss"] = train_one_epoch(
            fabric, wrapped, batches, optimizer, phase.class_weights
        )
        if phase.rates is None:
            row |= evaluate(fabric, wrapped, model, phase, progress)
            scheduler.step(row["validation_loss"])
        else:
            progress.best_row, progress.best_weights = len(progress.history), _on_cpu(model)
        progress.history.append(row)
        progress.weights = _on_cpu(model)
        progress.optimizer = copy.deepcopy(optimizer.state_dict())
        progress.scheduler = scheduler.state_dict()
        on_epoch(progress, row)


def _stepping(model: nn.Module, phase: Phase, config: TrainConfig) -> tuple[Any, Any]:
    """The optimizer of what is not frozen, and its scheduler; the head alone is always SGD's."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    rates: dict[str, Any] = {"lr": phase.learning_rate, "weight_decay": config.weight_decay}
    optimizer: torch.optim.Optimizer
    if phase.name == "head" or config.optimizer == "sgd":
        optimizer = torch.optim.SGD(trainable, momentum=config.momentum, **rates)
    else:
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        optimizer = (kinds | {"adagrad": torch.optim.Adagrad})[config.optimizer](trainable, **rates)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=config.plateau_factor, patience=phase.plateau_patience
    )
    return optimizer, scheduler


def evaluate(
    fabric: Fabric, wrapped: nn.Module, model: nn.Module, phase: Phase, progress: Progress
) -> Row:
    """Validation loss and accuracy; `progress` keeps the weights with the lowest loss."""
    wrapped.eval()
    logits = apply(wrapped, phase.validation_batches(), fabric.device)
    labels = phase.validation_labels
    weights = None if phase.class_weights is None else phase.class_weights.cpu()
    loss = cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), weight=weights).item()
    if loss < progress.best_loss:
        progress.best_loss, progress.stale = loss, 0
        progress.best_row = len(progress.history)
        progress.best_weights = _on_cpu(model)
        progress.best_logits = torch.from_numpy(logits)
    else:
        progress.stale += 1
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    return {"validation_loss": loss, "validation_accuracy": accuracy}


def _on_cpu(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}
