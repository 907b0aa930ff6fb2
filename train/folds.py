"""Cross-validation: every fold starts from one backbone, trains its head, then more layers."""

import copy
import dataclasses
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric

from train.classifier import Classifier, count_features
from train.config import TrainConfig
from train.files import write_torch
from train.head import embeddings_of, fit_head
from train.loop import Phase, Progress, Row, fit
from train.pooling import stages_of


class Pictures(Protocol):
    """What training needs of the data stage: labels, and batches of any positions."""

    labels: np.ndarray

    def batches(
        self, positions: np.ndarray, *, batch_size: int, seed: int | None = None, pin: bool = False
    ) -> Any:
        """Batches in order, or with a seed shuffled and augmented."""


class Log(Protocol):
    """Who is told how training goes."""

    def epoch(self, fold: int, row: Row) -> None:
        """One epoch of a fold has ended."""

    def head(self, fold: int, progress: Progress) -> None:
        """The head of a fold has been trained."""


@dataclasses.dataclass(frozen=True)
class Trainer:
    """What all folds share."""

    fabric: Fabric
    model: Classifier
    pictures: Pictures
    config: TrainConfig
    run: Path
    log: Log

    @classmethod
    def start(
        cls,
        fabric: Fabric,
        backbone: Any,
        pictures: Pictures,
        n_classes: int,
        image_size: tuple[int, int],
        config: TrainConfig,
        run: Path,
        log: Log,
    ) -> "Trainer":
        """A trainer of the backbone with a new last layer, for pictures of (width, height)."""
        pooling = config.pooling
        if pooling == "auto":  # random maps have no texture worth measuring: they get no head phase
            pooling = "stages" if config.head_epochs and stages_of(backbone) else "last"
        n_features = count_features(backbone, pooling, image_size)
        torch.manual_seed(config.seed)
        model = Classifier(
            backbone, n_classes, dropout=config.dropout, pooling=pooling, n_features=n_features
        )
        model.to(memory_format=torch.channels_last)  # what convolutions are fastest with
        return cls(fabric, model, pictures, config, run, log)

    def batches(self, positions: np.ndarray, seed: int | None = None) -> Any:
        """Batches of pictures for this device."""
        pin = self.fabric.device.type == "cuda"
        return self.pictures.batches(
            positions, batch_size=self.config.batch_size, seed=seed, pin=pin
        )


@dataclasses.dataclass(frozen=True)
class Fold:
    """One training: its number, the positions to train and to validate on.

    rates: of each phase, the learning rate of every epoch; None where validation finds them.
    """

    number: int
    train: np.ndarray
    validation: np.ndarray
    rates: dict[str, list[float]] | None = None

    def seed(self, config: TrainConfig) -> int:
        """What all randomness of this fold starts from."""
        return config.seed * 101 + self.number


def cross_validate(trainer: Trainer, folds: list[tuple[np.ndarray, np.ndarray]]) -> list[Progress]:
    """The finished progress of every fold, and last that of the refit where config.final asks so.

    folds: (training, validation) positions. The refit is one more training, on all that the folds
    have, with the learning rates of the fold whose best epoch is the median. Writes
    checkpoints/fold_<k>.pth as each one ends; what `trainer.run` already holds is not redone.
    """
    start = copy.deepcopy(trainer.model.state_dict())
    trainer.model.keeps_statistics = trainer.config.head_epochs > 0
    finished: list[Progress] = []
    everything = np.unique(np.concatenate([part for fold in folds for part in fold]))
    for k, (train, validation) in enumerate(folds, start=1):
        finished.append(_finished(trainer, Fold(k, train, validation), everything, start))
    if trainer.config.final == "refit":
        rates = rates_of(sorted(finished, key=lambda p: p.best_row)[len(finished) // 2])
        fold = Fold(len(folds) + 1, everything, everything[:0], rates)
        finished.append(_finished(trainer, fold, everything, start))
    return finished


def rates_of(progress: Progress) -> dict[str, list[float]]:
    """The learning rate of every epoch up to the best, by phase; the head's up to its own best."""
    rates: dict[str, list[float]] = {"head": [], "finetune": []}
    head = [row for row in progress.history if row["phase"] == "head"]
    n_head = 1 + int(np.argmin([row["validation_loss"] for row in head])) if head else 0
    for row in [*head[:n_head], *progress.history[len(head) : progress.best_row + 1]]:
        rates[row["phase"]].append(row["learning_rate"])
    return rates


def _finished(
    trainer: Trainer, fold: Fold, everything: np.ndarray, start: dict[str, torch.Tensor]
) -> Progress:
    file = trainer.run / "checkpoints" / f"fold_{fold.number}.pth"
    if file.exists():
        return load_progress(file)
    embeddings = embeddings_of(trainer, everything) if trainer.config.head_epochs else None
    trainer.model.load_state_dict(start)
    progress = train_fold(trainer, fold, embeddings)
    progress = dataclasses.replace(progress, weights={}, optimizer={}, scheduler={})
    write_torch(file, dataclasses.asdict(progress))
    (trainer.run / "checkpoints" / "current.pth").unlink(missing_ok=True)
    return progress


def train_fold(trainer: Trainer, fold: Fold, embeddings: np.ndarray | None) -> Progress:
    """The progress of one fold after its phases, its best weights those of the whole model."""
    config, model = trainer.config, trainer.model
    current = trainer.run / "checkpoints" / "current.pth"
    torch.manual_seed(fold.seed(config))
    model.head.reset_parameters()
    model.unfreeze(config.finetune)
    class_weights = _balanced(trainer, fold.train) if config.class_weights else None
    if current.exists():
        progress = load_progress(current)
    else:
        progress = Progress()
        if embeddings is not None:
            progress = fit_head(trainer, fold, embeddings, class_weights)
    if config.finetune == "none":
        return progress

    def on_epoch(progress: Progress, row: Row) -> None:
        write_torch(current, dataclasses.asdict(progress))
        trainer.log.epoch(fold.number, row)

    phase = Phase(
        "finetune",
        config.learning_rate,
        config.epochs,
        config.patience,
        config.plateau_patience,
        lambda epoch_seed: trainer.batches(fold.train, epoch_seed),
        lambda: trainer.batches(fold.validation),
        trainer.pictures.labels[fold.validation],
        class_weights,
        fold.rates["finetune"] if fold.rates else None,
    )
    seed = fold.seed(config)
    fit(trainer.fabric, model, phase, config, progress, seed=seed, on_epoch=on_epoch)
    return progress


def _balanced(trainer: Trainer, train: np.ndarray) -> torch.Tensor:
    """Weights float32 (C,) inverse to the class sizes in training, 1 on average over examples."""
    counts = np.bincount(trainer.pictures.labels[train], minlength=trainer.model.head.out_features)
    weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.tensor(weights, dtype=torch.float32, device=trainer.fabric.device)


def load_progress(file: Path) -> Progress:
    """A fold's progress from its checkpoint."""
    return Progress(**torch.load(file, map_location="cpu", weights_only=True))
