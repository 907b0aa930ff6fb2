"""From a table to everything that training needs: the same as of an image folder."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from common.recordings import recording_of
from data.config import DataConfig
from data.examples import Examples
from data.prepare import Prepared, new_splits, positions_of
from data.splits import read_splits
from data.summary import class_rows, oddities
from data.tabular.table import Table

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
    if split_file is None:
        parts = new_splits(examples, config, seed)
    else:
        parts = _of_same_recordings(Path(split_file), examples) or read_splits(split_file, examples)
    folds, test = positions_of(parts, examples.augmented)
    notes = table.notes + oddities(examples, parts[0], n_folds=len(folds) // len(parts))
    return Prepared(
        examples, Rows(table.values, examples.labels), table.columns, parts, folds, test,
        class_rows(examples, parts[0]), notes, [], {},
    )  # fmt: skip


def _of_same_recordings(split_file: Path, examples: Examples) -> list[np.ndarray] | None:
    """The parts of a split of pictures of the same recordings; None if it names these rows."""
    if not split_file.is_file():
        return None
    with split_file.open(newline="", encoding="utf-8-sig") as lines:
        part_of = {row.get("path") or "": row.get("split") or "" for row in csv.DictReader(lines)}
    if part_of.keys() & set(examples.paths):
        return None
    part_of = {recording_of(path): part for path, part in part_of.items()}
    names = [(path.rpartition(".")[0] or path, recording_of(path)) for path in examples.paths]
    parts = np.array([part_of.get(whole, part_of.get(clip, "")) for whole, clip in names])
    return [parts] if (parts != "").any() else None
