"""From a table to everything that training needs: the same as of an image folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.config import DataConfig
from data.prepare import Prepared, new_splits, positions_of
from data.splits import read_splits
from data.summary import class_rows, oddities
from data.table import Table

Batch = tuple[torch.Tensor, torch.Tensor]


class Rows:
    """Batches of rows: float32 (B, F), int64 (B,) labels."""

    def __init__(self, values: np.ndarray, labels: np.ndarray) -> None:
        self.values, self.labels = values, labels

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


def prepare_table(
    table: Table, config: DataConfig, *, split_file: str | Path | None, seed: int
) -> Prepared:
    """Split the table's rows as pictures are split; spec holds the names of the columns."""
    examples = table.examples
    new = not split_file
    parts = new_splits(examples, config, seed) if new else read_splits(str(split_file), examples)
    folds, test = positions_of(parts, examples.augmented)
    notes = table.notes + oddities(examples, parts[0], n_folds=len(folds) // len(parts))
    spec: Any = {"columns": list(table.columns)}
    return Prepared(
        examples, Rows(table.values, examples.labels), spec, parts, folds, test,
        class_rows(examples, parts[0]), notes, [], {},
    )  # fmt: skip
