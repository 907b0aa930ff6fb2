"""From an image folder to everything that training needs: checked, grouped, split, decoded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.audit.audit import audit
from data.audit.duplicates import Duplicate, merge_duplicates
from data.audit.page import as_facts
from data.cache.disk import cache_folder, cached_pictures
from data.config import DataConfig
from data.examples import Examples
from data.images.augment import augmentation_of
from data.images.loader import Pictures
from data.images.picture_array import PictureArray
from data.images.read import ImageSpec, canvas_for, picture_sizes
from data.splits import folds_of, make_split, positions_for_test, read_splits, refold
from data.summary import class_rows, oddities

Size = tuple[int, int]
MEASURED = 1000  # pictures, spread over all, whose commonest size is that of the canvas
LOOKED_AT = 2000  # pictures that are audited for shortcuts before a training: some seconds


@dataclass(frozen=True)
class Prepared:
    """Examples and pictures in one order; parts, folds and test are of these positions.

    spec: of the pictures, or the columns of a table; parts: who is tested or held out where, of
    each repeat; rows: the class table; notes: what is odd; failures: why each left-out picture is
    unreadable; audit: what `audit_page.as_facts` says, for the report.
    """

    examples: Examples
    pictures: Any  # Pictures, or the Rows of a table
    spec: ImageSpec | tuple[str, ...]
    parts: list[np.ndarray]
    folds: list[tuple[np.ndarray, np.ndarray]]
    test: np.ndarray
    rows: list[tuple[str, ...]]
    notes: list[str]
    failures: list[str]
    audit: dict[str, Any]


@dataclass(frozen=True)
class _Readable:
    """The examples whose pictures can be read, those pictures, and why the others cannot."""

    examples: Examples
    decoded: PictureArray
    failures: dict[str, str]


def prepare(
    examples: Examples,
    config: DataConfig,
    *,
    size: Size,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    split_file: str | Path | None,
    seed: int,
) -> Prepared:
    """Decode the pictures for a network's input of `size` = (width, height) and split them.

    Pictures that cannot be read are left out and named; duplicates are put into one group, unless
    config.duplicates says otherwise; split_file is used instead of a new split.
    """
    readable = _read(examples, size, config)
    named = readable.examples
    found = audit(
        named, decoded=readable.decoded, duplicates=config.duplicates, most_looked_at=LOOKED_AT
    )
    kept_apart = config.duplicates == "ignore" or config.group == "none"
    examples = named if kept_apart else merge_duplicates(named, found.duplicates)
    if split_file:  # checked against the groups as they are named: the file may part duplicates
        parts = read_splits(split_file, named, unreadable=readable.failures)
    else:
        parts = new_splits(examples, config, seed)
    part = parts[0]
    folds, test = positions_of(parts, examples.augmented)
    n_folds = 1 if config.leave_one_group_out else len(folds) // len(parts)
    notes = found.findings() + oddities(named, part, n_folds=n_folds)
    notes += _notes_on_split(found.duplicates, part, split_file)
    notes += readable.decoded.notes
    notes += [f"left out: {reason}" for reason in readable.failures.values()]
    spec = ImageSpec(size[0], size[1], readable.decoded.canvas, mean, std)
    augmentation = augmentation_of(config, [one.colour_map for one in found.appearances])
    pictures = Pictures(readable.decoded, named.labels, spec, augmentation, config.workers)
    return Prepared(
        examples, pictures, spec, parts, folds, test,
        class_rows(examples, part), notes, list(readable.failures.values()),
        as_facts(found, found.findings()),
    )  # fmt: skip


def _read(examples: Examples, size: Size, config: DataConfig) -> _Readable:
    some = np.linspace(0, len(examples) - 1, min(len(examples), MEASURED)).astype(int)
    sizes = picture_sizes(examples.take(some).files())
    canvas = canvas_for([s for s in sizes if s] or [size], *size)
    decoded = cached_pictures(
        examples.root, examples.paths, canvas,
        folder=cache_folder(config.cache), limit_gib=config.cache_limit,
    )  # fmt: skip
    reasons = {str(examples.paths[i]): reason for i, reason in decoded.reasons.items()}
    if reasons:
        keep = np.setdiff1d(np.arange(len(examples)), list(decoded.reasons))
        examples, decoded = examples.take(keep), decoded.take(keep)
    return _Readable(examples, decoded, reasons)


def new_splits(examples: Examples, config: DataConfig, seed: int) -> list[np.ndarray]:
    """The part of each example, of every repeat, as config asks for."""
    labels, groups = examples.labels, examples.groups
    n_folds = 0 if config.leave_one_group_out else config.folds
    first = make_split(
        labels, groups, classes=examples.classes, n_folds=n_folds,
        test_fraction=config.test_fraction, seed=seed,
    )  # fmt: skip
    return [first] + [
        refold(first, labels, groups, n_folds=n_folds, seed=seed + 1000 * repeat)
        for repeat in range(1, config.repeats)
    ]


def positions_of(
    parts: list[np.ndarray], augmented: np.ndarray
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """(training, validation) positions of every fold, and the test's; ValueError for no example."""
    folds = [fold for part in parts for fold in folds_of(part, augmented)]
    test = positions_for_test(parts[0], augmented)
    if not len(test) or any(not len(side) for fold in folds for side in fold):
        raise ValueError("the split leaves a training, validation or test part without a picture")
    return folds, test


def _notes_on_split(
    pairs: list[Duplicate], part: np.ndarray, split_file: str | Path | None
) -> list[str]:
    notes = []
    parted = [
        pair for pair in pairs
        if part[pair.first] != part[pair.second] and "" not in (part[pair.first], part[pair.second])
    ]  # fmt: skip
    if parted:
        who = split_file or "this split"
        notes.append(f"{who} parts {len(parted)} pairs of duplicates: a leak")
    elif pairs:
        notes.append("duplicates are kept in one group, on one side of every split")
    if unnamed := int((part == "").sum()):
        notes.append(f"{unnamed} pictures are not named in {split_file} and are left out")
    return notes
