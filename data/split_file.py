"""A split as a CSV: path,label,group,split, and split_2, ... of further repeats."""

import csv
from collections.abc import Collection
from pathlib import Path

import numpy as np

from common.files import near, open_csv, write_csv
from common.recordings import PARTS, recording_of
from data.examples import Examples
from data.splits import TEST, TRAIN, UNUSED, VALIDATION, Split


def write_split(file: Path, examples: Examples, split: Split) -> None:
    """Write the split, one row per example."""
    columns = ["path", "label", "group", *map(_column, range(len(split.parts)))]
    rows = zip(examples.paths, examples.label_names(), examples.groups, *split.parts, strict=True)
    write_csv(file, columns, rows)


def read_split(
    file: str | Path,
    examples: Examples,
    *,
    unreadable: Collection[str] = (),
    by_recording: bool = False,
) -> Split:
    """The split that the file gives these examples; those that it does not name are left out.

    A row has test, train or validation; or test, a fold number, or train: in every fold. Rows of
    the paths `unreadable` are passed over. by_recording: a file that names none of the examples,
    but pictures of the same recordings, is taken for their split. Raises ValueError when the file
    names a missing example, another part, no test or training part, splits a group, or tests others
    in a later repeat.
    """
    file = Path(file)
    rows = read_rows(file)
    columns = [name for name in map(_column, range(len(rows[0]))) if name in rows[0]]
    parts = [np.full(len(examples), UNUSED, dtype="U16") for _ in columns]
    positions: dict[str, list[int]] = {}
    by_recording = by_recording and not set(examples.paths) & {row["path"] for row in rows}
    for i, path in enumerate(examples.paths.tolist()):
        positions.setdefault(recording_of(path) if by_recording else path, []).append(i)
    for line, row in enumerate(rows, start=2):
        path = row["path"]
        found = positions.get(recording_of(path) if by_recording else path, [])
        if not found and not by_recording and path not in unreadable:
            raise ValueError(
                f"{file} line {line}: {path} is not in {examples.root}; paths start there, as "
                f"{examples.paths[0]}: leave out the rows of pictures that it lacks"
            )
        for part, name in zip(parts, columns, strict=True):
            _assign(part, found, row[name], f"{file} line {line}: ", path)
    for part in parts:
        _check(file, part, examples.groups)
    if any(((part == TEST) != (parts[0] == TEST)).any() for part in parts):
        raise ValueError(f"{file} tests other pictures in split_2 than in split")
    return Split.of(parts, examples.augmented)


def _column(repeat: int) -> str:
    return "split" if repeat == 0 else f"split_{repeat + 1}"


def read_rows(file: Path) -> list[dict[str, str]]:
    """The rows of the split file; ValueError where there is none, or it is no split."""
    if not file.is_file():
        there = f"{file} is a folder" if file.is_dir() else f"no split file at {file}"
        raise ValueError(f"{there}; expected a CSV with the columns path,label,split{near(file)}")
    with open_csv(file) as lines:
        reader = csv.DictReader(lines)
        if not {"path", "split"} <= set(reader.fieldnames or ()):
            found = reader.fieldnames or "no line"
            raise ValueError(f"{file} needs the columns path and split; it has {found}")
        rows = list(reader)
    if not rows:
        raise ValueError(f"{file} has no rows")
    return rows


def _assign(
    part: np.ndarray, positions: list[int], cell: str | None, where: str, path: str
) -> None:
    """Set the part of the examples at the positions to what the cell says."""
    value = (cell or "").strip().lower()
    value = PARTS.get(value, value)
    if value not in (TEST, TRAIN, VALIDATION, UNUSED) and not value.isdecimal():
        raise ValueError(f"{where}{cell!r} is not test, train, validation or a fold")
    for i in positions:
        if part[i] not in (UNUSED, value):
            raise ValueError(f"{where}{path} is in {part[i]} and in {value}")
        part[i] = value


def _check(file: Path, part: np.ndarray, groups: np.ndarray) -> None:
    parts = set(part.tolist()) - {UNUSED}
    numbered = {p for p in parts if p.isdecimal()}
    named = parts & {TRAIN, VALIDATION}
    folds = len(numbered) > 1 and VALIDATION not in named  # and what all of them train on
    if TEST not in parts or not (folds or (len(named) == 2 and not numbered)):
        raise ValueError(
            f"{file} has the parts {', '.join(sorted(parts))}; expected test with train and "
            "validation, or test with at least two fold numbers"
        )
    seen: dict[str, str] = {}
    for group, value in zip(groups, part, strict=True):
        if value != UNUSED and seen.setdefault(group, value) != value:
            raise ValueError(
                f"{file} puts group {group} in both {seen[group]} and {value}: a leak; "
                "--group none takes it as it is"
            )
