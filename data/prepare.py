"""From an image folder to everything that training needs: checked, split, decoded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.cache import decode_all, picture_sizes
from data.config import DataConfig
from data.folder import Examples
from data.image import ImageSpec, canvas_for
from data.loader import Pictures
from data.splits import folds_of, make_split, positions_for_test, read_split
from data.summary import class_rows, oddities
from data.transforms import SpectrogramCrop


@dataclass(frozen=True)
class Prepared:
    """Examples and pictures in one order; part, folds and test are of these positions.

    rows: the class table; notes: what is odd; failures: why each left-out picture is unreadable.
    """

    examples: Examples
    pictures: Pictures
    spec: ImageSpec
    part: np.ndarray
    folds: list[tuple[np.ndarray, np.ndarray]]
    test: np.ndarray
    rows: list[tuple[str, ...]]
    notes: list[str]
    failures: list[str]


def prepare(
    examples: Examples,
    config: DataConfig,
    *,
    size: tuple[int, int],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    split_file: str | Path | None,
    seed: int,
) -> Prepared:
    """Decode the pictures for a network's input of `size` = (width, height) and split them.

    Pictures that cannot be read are left out and named; split_file is used instead of a new split.
    """
    sizes = picture_sizes(examples.files())
    canvas = canvas_for([s for s in sizes if s] or [size], *size)
    spec: ImageSpec = {
        "width": size[0], "height": size[1], "canvas": canvas, "mean": mean, "std": std,
    }  # fmt: skip
    decoded, failures = decode_all(examples.files(), canvas, gib=config.decoded_gib)
    unreadable = {str(examples.paths[i]) for i in failures}
    if failures:
        keep = np.setdiff1d(np.arange(len(examples)), list(failures))
        examples, sizes = examples.take(keep), [sizes[i] for i in keep]
        decoded = None if decoded is None else decoded[keep]
    if split_file:
        part = read_split(split_file, examples, unreadable=unreadable)
    else:
        part = make_split(
            examples.labels, examples.groups, classes=examples.classes, n_folds=config.folds,
            test_fraction=config.test_fraction, seed=seed,
        )  # fmt: skip
    crop = SpectrogramCrop(spec, min_time=config.crop_time, min_frequency=config.crop_frequency)
    pictures = Pictures(
        examples.files(), examples.labels, spec,
        decoded=decoded, crop=crop, workers=config.workers,
    )  # fmt: skip
    folds = folds_of(part, examples.augmented)
    test = positions_for_test(part, examples.augmented)
    notes = oddities(examples, part, sizes, n_folds=len(folds))
    if not len(test) or any(not len(side) for fold in folds for side in fold):
        raise ValueError("the split leaves a training, validation or test part without a picture")
    if unnamed := int((part == "").sum()):
        notes.append(f"{unnamed} pictures are not named in {split_file} and are left out")
    notes += [f"left out: {reason}" for reason in failures.values()]
    rows = class_rows(examples, part)
    return Prepared(
        examples, pictures, spec, part, folds, test, rows, notes, list(failures.values())
    )
