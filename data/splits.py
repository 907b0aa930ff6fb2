"""Honest splits: a test part and k folds, stratified by class, no group on two sides."""

import csv
import warnings
from collections.abc import Collection
from itertools import count
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from data.examples import Examples
from data.root import check_split_file

TEST, TRAIN, VALIDATION, UNUSED = "test", "train", "validation", ""
_ALIASES = {"val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "dev": VALIDATION}
_ALIASES |= {"train": TRAIN, "training": TRAIN, "test": TEST, "testing": TEST}


def make_split(
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    classes: tuple[str, ...],
    n_folds: int,
    test_fraction: float,
    seed: int,
) -> np.ndarray:
    """Part of each example, str (n,): "test" or the fold "1".."k" in which it is held out.

    Examples of one group share a part and each class is spread evenly; n_folds 0 makes a fold of
    each group. The same seed gives the same split whatever the order of the examples. Raises
    ValueError when a class has under 3 groups, for training, validation and test need one each.
    """
    n_groups = {label: len(np.unique(groups[labels == label])) for label in np.unique(labels)}
    for label, n in n_groups.items():
        if n < 3:
            raise ValueError(
                f"class {classes[label]} has {n} group(s); at least 3 are needed, one each for "
                "training, validation and test: add recordings or leave the class out"
            )
    order = np.lexsort((labels, groups))
    part = np.empty(len(labels), dtype="U16")
    n_test, n_parts = _as_ratio(test_fraction)
    if n_test == 1:  # a small class has a larger part tested, rather than none
        n_parts = min(n_parts, *n_groups.values())
    test = _held_out(labels[order], groups[order], n_splits=n_parts, seed=seed) < n_test
    part[order[test]] = TEST
    return refold(part, labels, groups, n_folds=n_folds, seed=seed)


def refold(
    part: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, n_folds: int, seed: int
) -> np.ndarray:
    """The split `part` with the same test examples and other folds, by the seed."""
    order = np.lexsort((labels, groups))
    rest = order[part[order] != TEST]
    if n_folds:
        fold = _held_out(labels[rest], groups[rest], n_splits=n_folds, seed=seed)
    else:
        _, fold = np.unique(groups[rest], return_inverse=True)
    part = part.copy()
    part[rest] = (fold + 1).astype(str)
    return part


def _as_ratio(fraction: float) -> tuple[int, int]:
    """The smallest (n, d) with n / d within a tenth of `fraction`, a number in (0, 1)."""
    d = next(d for d in count(2) if abs(round(fraction * d) / d - fraction) <= 0.1 * fraction)
    return round(fraction * d), d


def _held_out(labels: np.ndarray, groups: np.ndarray, *, n_splits: int, seed: int) -> np.ndarray:
    """Number 0..n_splits-1 of the part that holds each example out, int (n,)."""
    # scikit-learn wants a class with a picture for every part.
    if (n := min(len(np.unique(groups)), int(np.bincount(labels).max()))) < n_splits:
        raise ValueError(
            f"{n} groups cannot make {n_splits} parts; lower --folds, raise --test-fraction or add "
            "recordings"
        )
    fold = np.empty(len(labels), dtype=int)
    # A class with fewer examples than folds is missing from some of them: the summary says so.
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for k, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
            fold[held_out] = k
    return fold


def folds_of(part: np.ndarray, augmented: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(training, validation) positions of each fold, in order.

    Augmented clips are only ever trained on. A split with `train` and `validation` is one fold.
    """
    usable = np.flatnonzero((part != TEST) & (part != UNUSED))
    if (part == VALIDATION).any():
        train = np.flatnonzero(part == TRAIN)
        return [(train, np.flatnonzero((part == VALIDATION) & ~augmented))]
    names = sorted(set(part[usable]), key=int)
    return [
        (usable[part[usable] != name], np.flatnonzero((part == name) & ~augmented))
        for name in names
    ]


def positions_for_test(part: np.ndarray, augmented: np.ndarray) -> np.ndarray:
    """Positions of the test examples; augmented clips are left out."""
    return np.flatnonzero((part == TEST) & ~augmented)


def write_split(file: Path, examples: Examples, parts: list[np.ndarray]) -> None:
    """Write path,label,group,split, and of further repeats split_2, ...: one row per example."""
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["path", "label", "group", *map(_column, range(len(parts)))])
        for i, path in enumerate(examples.paths):
            label = examples.classes[examples.labels[i]]
            writer.writerow([path, label, examples.groups[i], *(part[i] for part in parts)])


def _column(repeat: int) -> str:
    return "split" if repeat == 0 else f"split_{repeat + 1}"


def read_splits(
    file: str | Path, examples: Examples, *, unreadable: Collection[str] = ()
) -> list[np.ndarray]:
    """The parts of every repeat that the file has, each as `read_split` gives them."""
    columns = set(_rows(Path(file))[0])
    n = next(repeat for repeat in count(1) if _column(repeat) not in columns)
    parts = [
        read_split(file, examples, unreadable=unreadable, column=_column(repeat))
        for repeat in range(n)
    ]
    if any(((part == TEST) != (parts[0] == TEST)).any() for part in parts):
        raise ValueError(f"{file} tests other pictures in split_2 than in split")
    return parts


def read_split(
    file: str | Path,
    examples: Examples,
    *,
    unreadable: Collection[str] = (),
    column: str = "split",
) -> np.ndarray:
    """Part of each example, str (n,), from a CSV; "" for pictures that the file does not name.

    Parts are test, train and validation, or test and fold numbers. Raises ValueError when the file
    names a missing picture, another part, no test or training part, or splits a group.
    """
    position = {path: i for i, path in enumerate(examples.paths)}
    part = np.full(len(examples), UNUSED, dtype="U16")
    for line, row in enumerate(_rows(Path(file)), start=2):
        if row["path"] in unreadable:
            continue
        if row["path"] not in position:
            raise ValueError(f"{file} line {line}: {row['path']} is not in {examples.root}")
        value = (row[column] or "").strip().lower()
        value = _ALIASES.get(value, value)
        if value not in (TEST, TRAIN, VALIDATION, UNUSED) and not value.isdecimal():
            raise ValueError(
                f"{file} line {line}: {row[column]!r} is not test, train, validation or a fold"
            )
        at = position[row["path"]]
        if part[at] not in (UNUSED, value):
            raise ValueError(f"{file} line {line}: {row['path']} is in {part[at]} and in {value}")
        part[at] = value
    _check(file, part, examples.groups)
    return part


def _rows(file: Path) -> list[dict[str, str]]:
    check_split_file(file)
    with file.open(newline="", encoding="utf-8-sig") as lines:  # spreadsheets write the mark
        reader = csv.DictReader(lines)
        if not {"path", "split"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{file} needs the columns path and split; it has {reader.fieldnames}")
        rows = list(reader)
    if not rows:
        raise ValueError(f"{file} has no rows")
    return rows


def _check(file: str | Path, part: np.ndarray, groups: np.ndarray) -> None:
    parts = set(part) - {UNUSED}
    numbered = {p for p in parts if p.isdecimal()}
    named = parts & {TRAIN, VALIDATION}
    if TEST not in parts or bool(numbered) == bool(named) or len(numbered) == 1 or len(named) == 1:
        raise ValueError(
            f"{file} has the parts {', '.join(sorted(parts))}; expected test with train and "
            "validation, or test with at least two fold numbers"
        )
    seen: dict[str, str] = {}
    for group, value in zip(groups, part, strict=True):
        if value != UNUSED and seen.setdefault(group, value) != value:
            raise ValueError(f"{file} puts group {group} in both {seen[group]} and {value}: a leak")
