"""From an image folder to everything that training needs: checked, grouped, split, decoded."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.audit.audit import Audit, audit
from data.audit.duplicates import merge_duplicates
from data.audit.report import AuditReport
from data.cache.disk import cache_folder, cached_pictures
from data.config import DataConfig
from data.examples import Examples
from data.images.augment import augmentation_of
from data.images.colour_map import OTHER, SHOWN
from data.images.loader import Pictures
from data.images.picture_array import PictureArray
from data.images.read import ImageSpec, canvas_for, find_drawing
from data.split_file import read_split
from data.splits import TEST, UNUSED, Split, make_split, own_split, with_trained
from data.summary import ClassCount, count_classes, split_notes

MOST_NAMED = 10  # pictures that are left out, each in a line of its own


@dataclass(frozen=True)
class Prepared:
    """Examples with their split; positions are of these examples.

    inputs: what turns a picture into the network's input, or the names of a table's columns;
    class_counts: of each class and of all; notes: what is odd, in sentences; failures: why each
    picture that is left out is unreadable; audit: what was found in the pictures.
    """

    examples: Examples
    split: Split
    class_counts: list[ClassCount]
    notes: list[str]
    failures: list[str]
    audit: AuditReport | None
    inputs: ImageSpec | tuple[str, ...]


@dataclass(frozen=True)
class PreparedPictures(Prepared):
    """An image folder, its pictures in the order of the examples."""

    audit: AuditReport
    inputs: ImageSpec
    pictures: Pictures


@dataclass(frozen=True)
class _Readable:
    """The examples whose pictures can be read, those pictures, and why the others cannot."""

    examples: Examples
    pictures: PictureArray
    failures: dict[str, str]


def prepare(
    examples: Examples,
    config: DataConfig,
    *,
    size: tuple[int, int],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    seed: int,
    shown: str = SHOWN,
) -> PreparedPictures:
    """Decode the pictures for a network's input of `size` = (width, height) and split them.

    shown: the colour map in which the network sees them.

    Pictures that cannot be read are left out and named; duplicates are put into one group, unless
    config.duplicates says otherwise; config.split is used instead of a new split.
    """
    readable = _read(examples, size, config, shown)
    examples = readable.examples
    found = audit(examples, pictures=readable.pictures, duplicates=config.duplicates)
    examples, split = _split(readable, found, config, seed)
    notes = [
        *found.findings(),
        *split_notes(
            readable.examples, split, n_folds=1 if config.leave_one_group_out else split.n_folds
        ),
        *_notes_on_parts(found, split, config.split),
        *readable.pictures.notes,
        *_notes_on_failures(examples.root, list(readable.failures.values())),
    ]
    spec = ImageSpec(
        width=size[0],
        height=size[1],
        canvas=readable.pictures.canvas,
        mean=mean,
        std=std,
        drawing=found.drawing,
    )
    augmentation = augmentation_of(config, [shown if found.drawing.colour_map else OTHER])
    return PreparedPictures(
        examples=examples,
        split=split,
        class_counts=count_classes(examples, (split.parts[0] == TEST) & ~examples.is_corrected),
        notes=notes,
        failures=list(readable.failures.values()),
        audit=AuditReport.of(found),
        inputs=spec,
        pictures=Pictures(readable.pictures, examples.labels, spec, augmentation, config.workers),
    )


def _split(
    readable: _Readable, found: Audit, config: DataConfig, seed: int
) -> tuple[Examples, Split]:
    """(the examples with duplicates in one group, their split).

    What was corrected takes no part in splitting, so that the test stays as it was without it.
    """
    examples = readable.examples
    own, pairs = ~examples.is_corrected, found.duplicates.pairs
    if config.duplicates != "ignore" and config.group != "none":
        examples = merge_duplicates(examples, [p for p in pairs if own[p.first] and own[p.second]])
    # A file is checked against the groups as they are named: it may part duplicates.
    split = split_of(
        (readable.examples if config.split else examples).take(own),
        config,
        seed,
        unreadable=[*readable.failures, *examples.paths[~own].tolist()],
    )
    return examples, with_trained(split, examples, [(pair.first, pair.second) for pair in pairs])


def split_of(
    examples: Examples,
    config: DataConfig,
    seed: int,
    *,
    unreadable: Collection[str] = (),
    by_recording: bool = False,
) -> Split:
    """The split in the file config.split, see `read_split`, or that of the folder, or a new one."""
    if config.split:
        return read_split(config.split, examples, unreadable=unreadable, by_recording=by_recording)
    if examples.parts is not None and not config.leave_one_group_out:
        return own_split(examples, n_folds=config.folds, seed=seed, n_repeats=config.repeats)
    return make_split(
        examples,
        n_folds=0 if config.leave_one_group_out else config.folds,
        test_fraction=config.test_fraction,
        seed=seed,
        n_repeats=config.repeats,
    )


def _read(examples: Examples, size: tuple[int, int], config: DataConfig, shown: str) -> _Readable:
    drawing = find_drawing(examples.files(), crop=config.crop, flip=config.flip, shown=shown)
    canvas = canvas_for([drawing.frames[0].box.size if drawing.frames else size], *size)
    folder = cache_folder(config.cache)
    pictures = cached_pictures(
        examples.root, examples.paths, canvas, drawing, folder=folder, limit_gib=config.cache_limit
    )
    unreadable = {str(examples.paths[i]): reason for i, reason in pictures.reasons.items()}
    failures = examples.left_out | unreadable
    if unreadable:
        keep = np.setdiff1d(np.arange(len(examples)), list(pictures.reasons))
        examples, pictures = examples.take(keep), pictures.take(keep)
    return _Readable(examples, pictures, failures)


def _notes_on_failures(root: Path, reasons: list[str]) -> list[str]:
    """A sentence for each of the first pictures that are left out, and one for all others."""
    notes = [f"left out: {reason}" for reason in reasons[:MOST_NAMED]]
    if n := len(reasons) - len(notes):
        notes.append(f"left out: {n} more; python -m data.audit {root} names them all")
    return notes


def _notes_on_parts(found: Audit, split: Split, split_file: str | None) -> list[str]:
    """Sentences on duplicates in two parts, and on pictures in none."""
    notes = []
    part = split.parts[0]
    parted = [
        pair
        for pair in found.duplicates.pairs
        if part[pair.first] != part[pair.second]
        and UNUSED not in (part[pair.first], part[pair.second])
    ]
    if parted:
        who = split_file or "this split"
        pairs = "1 pair" if len(parted) == 1 else f"{len(parted)} pairs"
        notes.append(f"{who} parts {pairs} of duplicates: a leak")
    elif found.duplicates.pairs:
        notes.append("duplicates are kept in one group, on one side of every split")
    if unnamed := int((part == UNUSED).sum()):
        notes.append(f"{unnamed} pictures are not named in {split_file} and are left out")
    return notes
