"""From a table to everything that training needs: the same as of an image folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch

from data.config import DataConfig
from data.prepare import Prepared, split_of
from data.splits import TEST
from data.summary import count_classes, split_notes
from data.tabular.table import Table

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class TableRows:
    """Batches of rows: float32 (B, F), int64 (B,) labels.

    values: float32 (n, F), NaN where nothing is known; labels: int64 (n,).
    """

    values: np.ndarray
    labels: np.ndarray

    @property
    def digests(self) -> np.ndarray:
        """What each row is known by, bytes (n,)."""
        return np.array([sha256(row.tobytes()).digest() for row in self.values], "S32")

    def batches(
        self, positions: np.ndarray, *, batch_size: int, seed: int | None = None, pin: bool = False
    ) -> list[Batch]:
        """Batches in order, or with a seed shuffled, without a last batch of one."""
        return list(self._batches(positions, batch_size, seed))

    def _batches(self, positions: np.ndarray, size: int, seed: int | None) -> Iterator[Batch]:
        if seed is not None:
            positions = np.random.default_rng(seed).permutation(positions)
        for start in range(0, len(positions), size):
            part = positions[start : start + size]
            if len(part) > 1 or seed is None or len(positions) == 1:
                yield torch.from_numpy(self.values[part]), torch.from_numpy(self.labels[part])


@dataclass(frozen=True)
class PreparedTable(Prepared):
    """A table, its rows in the order of the examples."""

    inputs: tuple[str, ...]
    pictures: TableRows


def prepare_table(table: Table, config: DataConfig, *, seed: int) -> PreparedTable:
    """Split the table's rows as pictures are split, or as pictures of the same recordings are."""
    examples = table.examples
    split = split_of(examples, config, seed, by_recording=True)
    n_folds = 1 if config.leave_one_group_out else split.n_folds
    return PreparedTable(
        examples=examples,
        split=split,
        class_counts=count_classes(examples, split.parts[0] == TEST),
        notes=[*table.notes, *split_notes(examples, split, n_folds=n_folds)],
        failures=[],
        audit=None,
        inputs=table.columns,
        pictures=TableRows(table.values, examples.labels),
    )
