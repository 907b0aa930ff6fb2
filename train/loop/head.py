"""The last layer alone, on embeddings that are computed once; those of all folds side by side."""

import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from common.progress import stage
from train.devices.fabric import one_thread
from train.loop.embeddings import Embeddings
from train.loop.fit import OnEpoch, fit
from train.loop.seeds import Stream, derived_seed
from train.loop.state import HEAD, Batch, Fold, Phase, Progress
from train.loop.train_step import class_weights
from train.loop.trainer import Trainer
from train.models.classifier import Head, reset_linear

# What hardly varied must not be blown up: a deviation counts as at least this part of the feature's
# own mean, and of the usual deviation. The latter is small, since features are of several kinds.
OWN_FLOOR, FLOOR = 0.1, 0.001
LEAST_PATIENCE = 120  # steps: an epoch of some fifty pictures has two
IN_MEMORY = 2**30  # bytes of standardised embeddings, of all heads that are trained at once


def fit_heads(
    trainer: Trainer, folds: Sequence[Fold], embeddings: Embeddings
) -> Iterator[Progress]:
    """The progress of the head of each fold, in their order; its best weights are those of a Head.

    On a processor they are trained side by side, each on one core: their steps are too small for
    several. A head has its own generators and its own tensors, so that its numbers are the same bit
    for bit however many are trained at once.
    """
    on_cpu = trainer.fabric.device.type == "cpu"
    n_workers = max(1, min(len(folds), torch.get_num_threads() if on_cpu else 1))
    stop, rows_limit = threading.Event(), IN_MEMORY // n_workers
    most = len(folds) * trainer.config.head_epochs

    def fit_one(fold: Fold) -> Progress:
        def on_epoch(*_: object) -> None:
            training.update()
            if stop.is_set():
                raise InterruptedError

        progress = _fit_head(trainer, fold, embeddings, rows_limit, on_epoch)
        training.update(trainer.config.head_epochs - progress.epoch)
        return progress

    with (
        one_thread(),
        stage("training last layers", most, "epochs") as training,
        ThreadPoolExecutor(n_workers) as workers,
    ):
        waiting = [workers.submit(fit_one, fold) for fold in folds]
        try:
            for future in waiting:
                yield future.result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()


def _fit_head(
    trainer: Trainer,
    fold: Fold,
    embeddings: Embeddings,
    rows_limit: int,
    on_epoch: OnEpoch,
) -> Progress:
    config, labels = trainer.config, trainer.pictures.labels
    head = new_head(trainer, fold, embeddings)
    rows = StandardisedRows.of(trainer, fold, head, embeddings, rows_limit)
    n_steps = -(-len(fold.train) // config.batch_size)
    patience = max(config.head_patience, math.ceil(LEAST_PATIENCE / n_steps))
    weights = class_weights(labels[fold.train], head.n_classes).to(trainer.fabric.device)
    phase = Phase(
        name=HEAD,
        fold=fold.number,
        learning_rate=config.head_learning_rate,
        n_epochs=config.head_epochs,
        patience=patience,
        plateau_patience=patience // 2,
        train_batches=lambda seed: rows.batches(fold.train, config.batch_size, seed),
        validation_batches=lambda: rows.batches(fold.validation, config.batch_size),
        validation_labels=labels[fold.validation],
        class_weights=weights if config.balance != "none" else None,
        rates=fold.rates_of(HEAD),
        set_seed=head.dropout.set_seed,
        quiet=True,
        wrapped=trainer.fabric.device.type != "cpu",
    )
    progress = Progress()
    fit(trainer.fabric, LastLayer(head, trainer.fabric), phase, config, progress, on_epoch)
    if progress.best_weights:
        progress.best_weights |= {"shift": head.shift.cpu(), "scale": head.scale.cpu()}
    return progress


def new_head(trainer: Trainer, fold: Fold, embeddings: Embeddings) -> Head:
    """An untrained head that standardises embeddings as those of the fold's training part."""
    model = trainer.model
    head = Head(model.n_features, model.n_classes, dropout=trainer.config.dropout)
    reset_linear(head.head, derived_seed(trainer.config.seed, Stream.START, fold=fold.number))
    standardise(head, embeddings, fold.train)
    return head


def standardise(head: Head, embeddings: Embeddings | np.ndarray, train: np.ndarray) -> None:
    """Set the head's shift and scale so that the training embeddings have unit length on average.

    In parts, and in float64: the embeddings of a million pictures do not fit in memory.
    """
    n_features = embeddings.shape[1]
    total, squares = np.zeros(n_features), np.zeros(n_features)
    ordered = np.sort(train)
    parts = [ordered[i : i + 4096] for i in range(0, len(train), 4096)]
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
    head.shift.copy_(torch.from_numpy(mean))
    head.scale.copy_(torch.from_numpy(deviation * n_features**0.5))


class LastLayer(nn.Module):
    """Dropout and linear layer of a head, whose tensors it shares, for standardised embeddings."""

    def __init__(self, head: Head, fabric: Fabric) -> None:
        super().__init__()
        self.dropout, self.head = head.dropout, head.head
        self._fabric = fabric

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits float32 (B, C) of rows (B, F), in the precision of the fabric."""
        with self._fabric.autocast():
            return self.head(self.dropout(rows)).float()


@dataclass(frozen=True)
class StandardisedRows:
    """Standardised embeddings float32 of a fold and labels, in batches.

    values: (k, F) on the device, of `positions` sorted, or None where they are made as they are
    asked for.
    """

    embeddings: Embeddings
    labels: np.ndarray
    shift: torch.Tensor
    scale: torch.Tensor
    positions: np.ndarray
    values: torch.Tensor | None

    @classmethod
    def of(
        cls, trainer: Trainer, fold: Fold, head: Head, embeddings: Embeddings, limit: int
    ) -> "StandardisedRows":
        """All of the fold's rows, in memory if they take at most `limit` bytes."""
        positions = np.union1d(fold.train, fold.validation)
        labels, values = trainer.pictures.labels, None
        rows = cls(embeddings, labels, head.shift.clone(), head.scale.clone(), positions, None)
        if 4 * len(positions) * embeddings.shape[1] <= limit:
            values = torch.empty(len(positions), embeddings.shape[1])
            for start in range(0, len(positions), 256):
                part = slice(start, start + 256)
                values[part] = rows.at(positions[part])
            values = values.to(trainer.fabric.device)
        return cls(embeddings, labels, rows.shift, rows.scale, positions, values)

    def at(self, positions: np.ndarray) -> torch.Tensor:
        """The rows (B, F) of positions."""
        if self.values is not None:
            return self.values[torch.from_numpy(np.searchsorted(self.positions, positions))]
        rows = torch.from_numpy(self.embeddings[positions]).float()  # numpy takes 3 times as long
        return rows.sub_(self.shift).div_(self.scale)

    def batches(
        self, positions: np.ndarray, batch_size: int, seed: int | None = None
    ) -> Iterator[Batch]:
        """Batches in order, or shuffled by a seed."""
        if seed is not None:
            positions = np.random.default_rng(seed).permutation(positions)
        for start in range(0, len(positions), batch_size):
            part = positions[start : start + batch_size]
            yield self.at(part), torch.from_numpy(self.labels[part])
