"""Where a training stands, and what a fold and a phase of it consist of."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import torch

from common.fields import Fields
from train.loop.seeds import Stream

Batch = tuple[torch.Tensor, torch.Tensor]
Weights = dict[str, torch.Tensor]
HEAD, FINETUNE = "head", "finetune"
STREAMS = {HEAD: Stream.HEAD, FINETUNE: Stream.FINETUNE}


@dataclass(frozen=True)
class EpochRow:
    """One epoch of a phase: its number from 1, mean loss per example, accuracy in [0, 1].

    Nothing is validated where a phase has no examples held out.
    """

    phase: str
    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The figures that there are, by name: a row of history.csv."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: object) -> "EpochRow":
        """What `to_dict` gave, checked; ValueError that names the wrong value."""
        row = Fields.of(values, "epoch")
        validated = [
            None if row.values.get(name) is None else row.number(name)
            for name in ("validation_loss", "validation_accuracy")
        ]
        epoch, rate = row.integer("epoch", 1, 10**9), row.number("learning_rate", low=0.0)
        return cls(row.text("phase"), epoch, rate, row.number("train_loss"), *validated)


@dataclass
class Progress:
    """Where a fold stands: what a checkpoint holds, and all that resuming needs.

    stale: epochs since the best one; best_*: the epoch with the lowest validation loss, its weights
    and its validation logits (n, C); averaged: the mean of the weights over the steps, where there
    is one; optimizer, scheduler: state between epochs.
    """

    epoch: int = 0
    stale: int = 0
    steps: int = 0
    history: list[EpochRow] = field(default_factory=list)
    best_loss: float = float("inf")
    best_row: int = -1
    best_weights: Weights = field(default_factory=dict)
    best_logits: torch.Tensor | None = None
    weights: Weights = field(default_factory=dict)
    averaged: Weights = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values and tensors for a checkpoint; the tensors are not copied."""
        return {**vars(self), "history": [row.to_dict() for row in self.history]}

    @classmethod
    def from_dict(cls, values: object) -> "Progress":
        """What `to_dict` gave; ValueError for anything else."""
        names = {one.name for one in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            raise ValueError("it holds something else than the progress of a fold")
        numbers = Fields.of(values)
        for name in ("epoch", "stale", "steps"):
            numbers.integer(name, 0, 10**9)
        numbers.integer("best_row", -1, 10**9)
        history = [EpochRow.from_dict(row) for row in values["history"]]
        progress = cls(**{**values, "history": history})
        if not -1 <= progress.best_row < len(history):
            raise ValueError(f"its best epoch is {progress.best_row} of {len(history)}")
        return progress


@dataclass(frozen=True)
class Fold:
    """One training: its number, the positions to train and to validate on.

    rates: of each phase, the learning rate of every epoch; None where validation finds them.
    """

    number: int
    train: np.ndarray
    validation: np.ndarray
    rates: dict[str, list[float]] | None = None

    def rates_of(self, phase: str) -> list[float] | None:
        """The learning rates of a phase, if they are given."""
        return None if self.rates is None else self.rates[phase]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of training: its name, rate, length, and the batches of an epoch.

    fold: its number; patience, plateau_patience: epochs without a lower validation loss before the
    phase stops, and before its rate drops; train_batches: of the epoch's seed. rates: the learning
    rate of every epoch, with nothing to validate on; None where the validation loss decides.
    together: every process has its share of each batch and of the validation batches; else all is
    this process's own. compiled: by torch.compile. set_seed: what seeds the randomness inside the
    network; quiet: without a progress bar; wrapped: by Fabric, whose wrapper counts on one thread.
    """

    name: str
    fold: int
    learning_rate: float
    n_epochs: int
    patience: int
    plateau_patience: int
    train_batches: Callable[[int], Iterable[Batch]]
    validation_batches: Callable[[], Iterable[Batch]]
    validation_labels: np.ndarray
    class_weights: torch.Tensor | None = None
    rates: list[float] | None = None
    together: bool = False
    compiled: bool = False
    set_seed: Callable[[int], object] = torch.manual_seed
    quiet: bool = False
    wrapped: bool = True

    @property
    def who(self) -> str:
        """Which training this is, in words; the refit is given its rates."""
        return f"fold {self.fold}" if self.rates is None else "on all folds"

    @property
    def is_head(self) -> bool:
        """Whether the last layer alone is trained."""
        return self.name == HEAD


class Log(Protocol):
    """Who is told how training goes."""

    def epoch(self, fold: int, row: EpochRow) -> None:
        """One epoch of a fold has ended."""

    def head(self, fold: int, progress: Progress) -> None:
        """The head of a fold has been trained."""
