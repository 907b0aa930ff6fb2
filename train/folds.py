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
        # Random maps have no texture worth measuring: with no pretrained weights, no head phase.
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


def cross_validate(trainer: Trainer, folds: list[tuple[np.ndarray, np.ndarray]]) -> list[Progress]:
    """The finished progress of every fold; folds that `trainer.run` already holds are not redone.

    folds: (training, validation) positions. Writes checkpoints/fold_<k>.pth as each one ends.
    """
    start = copy.deepcopy(trainer.model.state_dict())
    trainer.model.keeps_statistics = trainer.config.head_epochs > 0
    embeddings: np.ndarray | None = None
    finished = []
    for k, (train, validation) in enumerate(folds, start=1):
        file = trainer.run / "checkpoints" / f"fold_{k}.pth"
        if file.exists():
            finished.append(load_progress(file))
            continue
        if embeddings is None and trainer.config.head_epochs:
            everything = np.unique(np.concatenate([i for fold in folds for i in fold]))
            embeddings = embeddings_of(trainer, everything)
        trainer.model.load_state_dict(start)
        progress = train_fold(trainer, k, train, validation, embeddings)
        progress = dataclasses.replace(progress, weights={}, optimizer={}, scheduler={})
        write_torch(file, dataclasses.asdict(progress))
        (trainer.run / "checkpoints" / "current.pth").unlink(missing_ok=True)
        finished.append(progress)
    return finished


def train_fold(
    trainer: Trainer,
    k: int,
    train: np.ndarray,
    validation: np.ndarray,
    embeddings: np.ndarray | None,
) -> Progress:
    """The progress of one fold after its phases, its best weights those of the whole model."""
    config, model = trainer.config, trainer.model
    seed = config.seed * 101 + k
    current = trainer.run / "checkpoints" / "current.pth"
    torch.manual_seed(seed)
    model.head.reset_parameters()
    model.unfreeze(config.finetune)
    class_weights = _balanced(trainer, train) if config.class_weights else None
    if current.exists():
        progress = load_progress(current)
    else:
        progress = Progress()
        if embeddings is not None:
            progress = fit_head(trainer, k, train, validation, embeddings, class_weights, seed)
    if config.finetune == "none":
        return progress

    def on_epoch(progress: Progress, row: Row) -> None:
        write_torch(current, dataclasses.asdict(progress))
        trainer.log.epoch(k, row)

    phase = Phase(
        "finetune",
        config.learning_rate,
        config.epochs,
        lambda epoch_seed: trainer.batches(train, epoch_seed),
        lambda: trainer.batches(validation),
        trainer.pictures.labels[validation],
        class_weights,
    )
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
