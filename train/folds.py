"""Cross-validation: every fold starts from one backbone, trains its head, then more layers."""

import copy
import dataclasses
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from train.classifier import Classifier
from train.config import TrainConfig
from train.files import write_torch
from train.inference import Batch, apply
from train.loop import Phase, Progress, Row, fit


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
        config: TrainConfig,
        run: Path,
        log: Log,
    ) -> "Trainer":
        """A trainer of the backbone with a new last layer."""
        torch.manual_seed(config.seed)
        model = Classifier(backbone, n_classes, dropout=config.dropout)
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
            embeddings = embed(
                trainer, np.unique(np.concatenate([i for fold in folds for i in fold]))
            )
        trainer.model.load_state_dict(start)
        progress = train_fold(trainer, k, train, validation, embeddings)
        progress = dataclasses.replace(progress, weights={}, optimizer={}, scheduler={})
        write_torch(file, dataclasses.asdict(progress))
        (trainer.run / "checkpoints" / "current.pth").unlink(missing_ok=True)
        finished.append(progress)
    return finished


def embed(trainer: Trainer, positions: np.ndarray) -> np.ndarray:
    """Embeddings float32 (n pictures, F) by the untrained backbone; rows not asked for are NaN.

    Computed once and shared by all folds: k folds of head training cost one pass over the pictures.
    """
    fabric, model = trainer.fabric, trainer.model
    model.to(fabric.device).eval()
    with fabric.autocast():
        rows = apply(model.features, trainer.batches(positions), fabric.device)
    embeddings = np.full((len(trainer.pictures.labels), rows.shape[1]), np.nan, np.float32)
    embeddings[positions] = rows
    return embeddings


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


def fit_head(
    trainer: Trainer,
    k: int,
    train: np.ndarray,
    validation: np.ndarray,
    embeddings: np.ndarray,
    class_weights: torch.Tensor | None,
    seed: int,
) -> Progress:
    """Train the last layer on the embeddings; leaves the best in the model and the progress."""
    config, model, labels = trainer.config, trainer.model, trainer.pictures.labels
    features, targets = torch.from_numpy(embeddings), torch.from_numpy(labels)
    model.shift.copy_(features[train].mean(dim=0))
    model.scale.copy_(features[train].var(dim=0).mean().sqrt() + 1e-6)

    def batches(positions: np.ndarray, seed: int | None = None) -> list[Batch]:
        if seed is not None:
            positions = np.random.default_rng(seed).permutation(positions)
        size = config.batch_size
        parts = [positions[i : i + size] for i in range(0, len(positions), size)]
        return [(features[part], targets[part]) for part in parts]

    phase = Phase(
        "head",
        config.head_learning_rate,
        config.head_epochs,
        lambda epoch_seed: batches(train, epoch_seed),
        lambda: batches(validation),
        labels[validation],
        class_weights,
    )
    progress = Progress()
    top = _Top(model)
    fit(
        trainer.fabric, top, phase, config, progress, seed=seed + 1,
        on_epoch=lambda _, row: trainer.log.epoch(k, row),
    )  # fmt: skip
    trainer.log.head(k, progress)
    top.load_state_dict(progress.best_weights)
    progress.best_weights = {name: t.cpu().clone() for name, t in model.state_dict().items()}
    progress.epoch, progress.stale, progress.optimizer = 0, 0, {}
    return progress


class _Top(nn.Module):
    """What follows the backbone, as a module of its own: it shares the classifier's tensors."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.head = model.head
        self.classify = model.classify
        self.dropout = model.dropout

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.classify(embeddings)


def _balanced(trainer: Trainer, train: np.ndarray) -> torch.Tensor:
    """Weights float32 (C,) inverse to the class sizes in training, 1 on average over examples."""
    counts = np.bincount(trainer.pictures.labels[train], minlength=trainer.model.head.out_features)
    weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.tensor(weights, dtype=torch.float32, device=trainer.fabric.device)


def load_progress(file: Path) -> Progress:
    """A fold's progress from its checkpoint."""
    return Progress(**torch.load(file, map_location="cpu", weights_only=True))
