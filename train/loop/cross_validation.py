"""Cross-validation: every fold starts from one backbone, trains its head, then more layers."""

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric

from train.checkpoint import write_torch
from train.config import TrainConfig
from train.devices.distributed import agreed, barrier, share
from train.loop.fit import Phase, Progress, Row, fit
from train.loop.head import embeddings_of, fit_head
from train.loop.micro_batch import Parts
from train.models.classifier import Classifier, count_features
from train.models.feature_pooling import stages_of

SETTLING = 3
STEPS_TO_COMPILE = 5000  # fewer would not win back the minute or so that compiling takes


class Pictures(Protocol):
    """What training needs of the data stage: labels, and batches of any positions."""

    @property
    def labels(self) -> np.ndarray:
        """The label of each example, int64 (n,)."""

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
    """What all folds share; the first process alone logs."""

    fabric: Fabric
    model: Classifier
    pictures: Pictures
    config: TrainConfig
    run: Path
    log: Log
    parts: Parts = dataclasses.field(default_factory=Parts)

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
        return cls(fabric, model, pictures, config, run, log, Parts(config.micro_batch))

    def batches(self, positions: np.ndarray, seed: int | None = None) -> Any:
        """Batches of pictures for this device."""
        return self._batches(positions, seed)

    def shares(self, positions: np.ndarray, seed: int) -> Any:
        """This process's share of each batch for training."""
        if self.fabric.world_size == 1:
            return self._batches(positions, seed)
        share = (self.fabric.global_rank, self.fabric.world_size)
        return self._batches(positions, seed, share=share)

    def _batches(self, positions: np.ndarray, seed: int | None, **options: Any) -> Any:
        pin = self.fabric.device.type == "cuda"
        return self.pictures.batches(
            positions, batch_size=self.config.batch_size, seed=seed, pin=pin, **options
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
    everything = positions_in(folds)
    for k, (train, validation) in enumerate(folds, start=1):
        finished.append(_finished(trainer, Fold(k, train, validation), everything, start))
    if trainer.config.final == "refit":
        rates = rates_of(sorted(finished, key=lambda p: p.best_row)[len(finished) // 2])
        fold = Fold(len(folds) + 1, everything, everything[:0], rates)
        finished.append(_finished(trainer, fold, everything, start))
    return finished


def positions_in(folds: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Every position that a fold trains or validates on, once, sorted: all but the test's."""
    return np.unique(np.concatenate([part for fold in folds for part in fold]))


def rates_of(progress: Progress) -> dict[str, list[float]]:
    """The learning rate of every epoch up to the best, by phase; the head's up to its own best.

    The head's end with `SETTLING` epochs at a tenth of the rate: a fold keeps the best of the
    epochs between which a high rate jumps, a training that validates nothing keeps the last one.
    """
    rates: dict[str, list[float]] = {"head": [], "finetune": []}
    head = [row for row in progress.history if row["phase"] == "head"]
    n_head = 1 + int(np.argmin([row["validation_loss"] for row in head])) if head else 0
    for row in [*head[:n_head], *progress.history[len(head) : progress.best_row + 1]]:
        rates[row["phase"]].append(row["learning_rate"])
    rates["head"] += [rate / 10 for rate in rates["head"][-1:] * SETTLING]
    return rates


def _finished(
    trainer: Trainer, fold: Fold, everything: np.ndarray, start: dict[str, torch.Tensor]
) -> Progress:
    fabric, file = trainer.fabric, trainer.run / "checkpoints" / f"fold_{fold.number}.pth"
    if agreed(fabric, file.exists()):
        return load_progress(file)
    with_head = trainer.config.head_epochs and fabric.is_global_zero
    embeddings = embeddings_of(trainer, everything) if with_head else None
    trainer.model.load_state_dict(start)
    progress = train_fold(trainer, fold, embeddings)
    progress = dataclasses.replace(progress, weights={}, averaged={}, optimizer={}, scheduler={})
    if fabric.is_global_zero:
        write_torch(file, dataclasses.asdict(progress))
        (trainer.run / "checkpoints" / "current.pth").unlink(missing_ok=True)
    barrier(fabric)
    return progress


def train_fold(trainer: Trainer, fold: Fold, embeddings: np.ndarray | None) -> Progress:
    """The progress of one fold after its phases, its best weights those of the whole model.

    The first process alone trains the head, on the embeddings that it has, and writes files.
    """
    config, model, fabric = trainer.config, trainer.model, trainer.fabric
    current = trainer.run / "checkpoints" / "current.pth"
    torch.manual_seed(fold.seed(config))
    model.head.reset_parameters()
    model.unfreeze(config.finetune)
    class_weights = _balanced(trainer, fold.train) if config.balance != "none" else None
    progress = Progress()
    if fabric.is_global_zero and current.exists():
        progress = load_progress(current)
    elif embeddings is not None:
        progress = fit_head(trainer, fold, embeddings, class_weights)
    progress = agreed(fabric, progress)
    if progress.best_weights:  # the head's, in the processes that did not train it
        model.load_state_dict(progress.best_weights)
    if config.finetune == "none":
        return progress

    def on_epoch(progress: Progress, row: Row) -> None:
        if fabric.is_global_zero:
            write_torch(current, dataclasses.asdict(progress))
            trainer.log.epoch(fold.number, row)

    seed = fold.seed(config)
    fit(
        fabric, model, _finetuning(trainer, fold, class_weights), config, progress, seed=seed,
        on_epoch=on_epoch, parts=trainer.parts,
    )  # fmt: skip
    return progress


def _finetuning(trainer: Trainer, fold: Fold, class_weights: torch.Tensor | None) -> Phase:
    config, labels = trainer.config, trainer.pictures.labels
    validation = share(trainer.fabric, fold.validation)

    def batches(epoch_seed: int) -> Any:
        train = fold.train
        if config.balance == "sampler":
            chances = 1 / np.bincount(labels[train])[labels[train]]
            rng = np.random.default_rng(epoch_seed)
            train = rng.choice(train, len(train), p=chances / chances.sum())
        return trainer.shares(train, epoch_seed)

    n_steps = config.epochs * math.ceil(len(fold.train) / config.batch_size)
    on_gpu = trainer.fabric.device.type == "cuda"
    return Phase(
        "finetune",
        config.learning_rate,
        config.epochs,
        config.patience,
        config.plateau_patience,
        batches,
        lambda: trainer.batches(validation) if len(validation) else [],
        labels[fold.validation],
        class_weights if config.balance == "loss" else None,
        fold.rates["finetune"] if fold.rates else None,
        together=True,
        compiled=config.compile == "yes"
        or (config.compile == "auto" and on_gpu and n_steps >= STEPS_TO_COMPILE),
    )


def _balanced(trainer: Trainer, train: np.ndarray) -> torch.Tensor:
    """Weights float32 (C,) inverse to the class sizes in training, 1 on average over examples."""
    counts = np.bincount(trainer.pictures.labels[train], minlength=trainer.model.head.out_features)
    weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.tensor(weights, dtype=torch.float32, device=trainer.fabric.device)


def load_progress(file: Path) -> Progress:
    """A fold's progress from its checkpoint."""
    return Progress(**torch.load(file, map_location="cpu", weights_only=True))
