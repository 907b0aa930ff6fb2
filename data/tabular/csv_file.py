"""A CSV of features as cells and numbers, with numpy only: ONNX prediction has no torch."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from common.files import open_csv

MISSING = ("", "na", "n/a", "nan", "none", "null", "?")
NAMES = (
    "path",
    "filename",
    "file",
    "track_id",
    "id",
)  # what may name a row, the first that is there
COORDINATES = ("latitude", "longitude")


def read_rows(file: Path, columns: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """(names (n,), values float32 (n, F)) of the rows of `file` in the columns of a model.

    Raises ValueError that names the columns it lacks, or a cell that is no number.
    """
    header, rows = read_cells(file)
    lacking = [name for name in columns if name not in header]
    if lacking:
        raise ValueError(f"{file} lacks the model's columns {some_of(lacking)}")
    values = np.full((len(rows), len(columns)), np.nan, dtype=np.float32)
    for i, row in enumerate(rows):
        for j, name in enumerate(columns):
            number = number_of(row[name])
            if number is None:
                raise ValueError(f"{file} line {i + 2}: {name} is {row[name]!r}, not a number")
            values[i, j] = number
    return row_names(header, rows).tolist(), values


def read_cells(file: Path) -> tuple[list[str], list[dict[str, str]]]:
    """(column names, rows by them); a file whose first line is numbers has feature_1, ..."""
    if not file.is_file():
        raise ValueError(f"no table at {file}")
    with open_csv(file) as text:
        lines = [line for line in csv.reader(text) if line]
    if not lines:
        raise ValueError(
            f"{file} is empty; expected a line of column names and a row per recording"
        )
    header = [name.strip() for name in lines[0]]
    if all(number_of(name) is not None for name in header):
        # as UCI's "Geographical Original of Music": the last two columns are the coordinates
        header = [f"feature_{i}" for i in range(1, len(header) - 1)] + list(COORDINATES)
        lines.insert(0, header)
    for number, line in enumerate(lines, start=1):
        if len(line) != len(header):
            raise ValueError(f"{file} line {number} has {len(line)} cells, not {len(header)}")
    return header, [dict(zip(header, line, strict=True)) for line in lines[1:]]


def row_names(header: list[str], rows: list[dict[str, str]]) -> np.ndarray:
    """A unique name for each row, str (n,)."""
    for name in NAMES:
        if name in header and len({row[name] for row in rows}) == len(rows):
            return np.array([row[name] for row in rows])
    return np.array([f"row {i}" for i in range(1, len(rows) + 1)])


def is_missing(cell: str) -> bool:
    """Whether a cell says that nothing is known."""
    return cell.strip().lower() in MISSING


def number_of(cell: str) -> float | None:
    """The cell as a number: NaN when it is empty or infinite, None when it is text."""
    if is_missing(cell):
        return float("nan")
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(np.float32(value)) else float("nan")


def some_of(names: Iterable[str]) -> str:
    """The first eight names, for a message."""
    listed = list(names)
    return ", ".join(listed[:8]) + (", ..." if len(listed) > 8 else "")
