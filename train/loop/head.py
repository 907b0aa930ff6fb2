"""The last layer alone, on embeddings that are computed once and shared by all folds."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from common.files import whole_path
from train.devices.fabric import one_thread
from train.loop.fit import Phase, Progress, fit
from train.loop.inference import Batch, progress_bar
from train.models.classifier import Classifier

if TYPE_CHECKING:
    from train.loop.cross_validation import Fold, Trainer

# What hardly varied must not be blown up: a deviation counts as at least this part of the feature's
# own mean, and of the usual deviation. The latter is small, since features are of several kinds.
OWN_FLOOR, FLOOR = 0.1, 0.001
LEAST_PATIENCE = 120  # steps: an epoch of some fifty pictures has two


def embeddings_of(trainer: "Trainer", positions: np.ndarray) -> np.ndarray:
    """Embeddings float16 (n pictures, F) by the untrained backbone, mapped from a file of the run.

    Only the rows of `positions` are filled. k folds of head training cost one pass over the
    pictures, a resumed run none, and memory does not grow with their number.
    """
    file = trainer.run / "checkpoints" / "embeddings.npy"
    if not file.exists():
        with whole_path(file) as temporary:
            _embed(trainer, positions, temporary)
    return np.load(file, mmap_mode="r")


@torch.inference_mode()
def _embed(trainer: "Trainer", positions: np.ndarray, file: Path) -> None:
    fabric, model = trainer.fabric, trainer.model
    model.to(fabric.device).eval()
    shape = (len(trainer.pictures.labels), model.head.in_features)
    rows = np.lib.format.open_memmap(file, "w+", np.float16, shape)
    done = 0
    for images, _ in progress_bar(trainer.batches(positions), "embedding"):
        with fabric.autocast():
            part = model.features(images.to(fabric.device, non_blocking=True))
        part = part.float().clamp(-65504, 65504)  # what float16 holds
        rows[positions[done : done + len(part)]] = part.cpu().numpy()
        done += len(part)
    rows.flush()


def fit_head(
    trainer: "Trainer",
    fold: "Fold",
    embeddings: np.ndarray,
    class_weights: torch.Tensor | None,
) -> Progress:
    """Train the last layer on the embeddings; leaves the best in the model and the progress."""
    config, model, labels = trainer.config, trainer.model, trainer.pictures.labels
    standardise(model, embeddings, fold.train)

    def batches(positions: np.ndarray, seed: int | None = None) -> "_Rows":
        if seed is not None:
            positions = np.random.default_rng(seed).permutation(positions)
        return _Rows(embeddings, labels, positions, config.batch_size)

    patience = max(config.head_patience, math.ceil(LEAST_PATIENCE / len(batches(fold.train))))
    phase = Phase(
        "head",
        config.head_learning_rate,
        config.head_epochs,
        patience,
        patience // 2,
        lambda epoch_seed: batches(fold.train, epoch_seed),
        lambda: batches(fold.validation),
        labels[fold.validation],
        class_weights,
        fold.rates["head"] if fold.rates else None,
    )
    progress = Progress()
    top = Top(model)
    with one_thread():
        fit(
            trainer.fabric, top, phase, config, progress, seed=fold.seed(config) + 1,
            on_epoch=lambda _, row: trainer.log.epoch(fold.number, row),
        )  # fmt: skip
    trainer.log.head(fold.number, progress)
    top.load_state_dict(progress.best_weights)
    progress.best_weights = {name: t.cpu().clone() for name, t in model.state_dict().items()}
    progress.epoch, progress.stale, progress.optimizer = 0, 0, {}
    return progress


def standardise(model: Classifier, embeddings: np.ndarray, train: np.ndarray) -> None:
    """Set the model's shift and scale so that the training embeddings have unit length on average.

    In parts, and in float64: the embeddings of a million pictures do not fit in memory.
    """
    n_features = embeddings.shape[1]
    total, squares = np.zeros(n_features), np.zeros(n_features)
    parts = [np.sort(train)[i : i + 4096] for i in range(0, len(train), 4096)]
    first = embeddings[parts[0]].mean(axis=0, dtype=np.float64)  # else squares lose their digits
    for part in parts:
        rows = embeddings[part] - first
        total += rows.sum(axis=0)
        squares += np.square(rows).sum(axis=0)
    mean = total / len(train)
    variance = np.maximum(squares / len(train) - mean**2, 0)
    mean += first
    floor = np.maximum((OWN_FLOOR * mean) ** 2, FLOOR**2 * variance.mean())
    deviation = np.sqrt(np.maximum(variance, floor) + 1e-12)
    model.shift.copy_(torch.from_numpy(mean))
    model.scale.copy_(torch.from_numpy(deviation * n_features**0.5))


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Batches of embeddings and labels, read as they are asked for."""

    embeddings: np.ndarray
    labels: np.ndarray
    positions: np.ndarray
    batch_size: int

    def __len__(self) -> int:
        return -(-len(self.positions) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for i in range(0, len(self.positions), self.batch_size):
            part = self.positions[i : i + self.batch_size]
            rows = torch.from_numpy(self.embeddings[part]).float()  # numpy takes 3 times as long
            yield rows, torch.from_numpy(self.labels[part])


class Top(nn.Module):
    """What follows the backbone, as a module of its own: it shares the classifier's tensors."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.head = model.head
        self.classify = model.classify
        self.dropout = model.dropout

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of embeddings (B, F)."""
        return self.classify(embeddings)
