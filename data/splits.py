"""A test part and folds of the rest: stratified by class, no group on two sides."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from data.examples import Examples

TEST, TRAIN, VALIDATION, UNUSED = "test", "train", "validation", ""
Fold = tuple[np.ndarray, np.ndarray]  # positions int of (training, validation)


@dataclass(frozen=True)
class Split:
    """Which examples are tested, and which each fold is trained on and validated with.

    parts: of each repeat of the cross-validation, str (n,): "test", the fold "1".."k" in which an
    example is held out, or "train" and "validation", "" for one that is left out; folds: of all
    repeats in order; test: positions int (t,). Augmented clips are only ever trained on.
    """

    parts: tuple[np.ndarray, ...]
    folds: list[Fold]
    test: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[np.ndarray], augmented: np.ndarray) -> "Split":
        """The split in which examples have these parts; ValueError if a side of it is empty.

        augmented: bool (n,).
        """
        folds = [fold for part in parts for fold in _folds(part, augmented)]
        test = np.flatnonzero((parts[0] == TEST) & ~augmented)
        if not len(test) or any(not len(side) for fold in folds for side in fold):
            raise ValueError(
                "the split leaves a training, validation or test part without a picture"
            )
        return cls(tuple(parts), folds, test)

    @property
    def n_folds(self) -> int:
        """Number of folds in one repeat."""
        return len(self.folds) // len(self.parts)

    @property
    def development(self) -> np.ndarray:
        """Positions of all examples that are trained on or validated with, sorted."""
        return np.unique(np.concatenate([side for fold in self.folds for side in fold]))


def _folds(part: np.ndarray, augmented: np.ndarray) -> list[Fold]:
    """The folds in order; a part with `train` and `validation` is one fold."""
    if (part == VALIDATION).any():
        train = np.flatnonzero(part == TRAIN)
        return [(train, np.flatnonzero((part == VALIDATION) & ~augmented))]
    usable = np.flatnonzero((part != TEST) & (part != UNUSED))
    names = sorted(set(part[usable]), key=int)
    return [
        (usable[part[usable] != name], np.flatnonzero((part == name) & ~augmented))
        for name in names
    ]


def make_split(
    examples: Examples, *, n_folds: int, test_fraction: float, seed: int, n_repeats: int = 1
) -> Split:
    """A new split of the examples; repeats test the same ones and differ in their folds.

    n_folds 0 makes a fold of each group. The same seed gives the same split whatever the order of
    the examples.
    """
    labels, groups = examples.labels, examples.groups
    first = assign_parts(
        labels,
        groups,
        classes=examples.classes,
        n_folds=n_folds,
        test_fraction=test_fraction,
        seed=seed,
    )
    others = [
        assign_folds(first, labels, groups, n_folds=n_folds, seed=seed + 1000 * repeat)
        for repeat in range(1, n_repeats)
    ]
    return Split.of([first, *others], examples.augmented)


def assign_parts(
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    classes: tuple[str, ...],
    n_folds: int,
    test_fraction: float,
    seed: int,
) -> np.ndarray:
    """Part of each example, str (n,): "test" or the fold "1".."k" in which it is held out.

    Examples of one group share a part and each class is spread evenly. Raises ValueError when a
    class has under 3 groups, for training, validation and test need one each.
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
    return assign_folds(part, labels, groups, n_folds=n_folds, seed=seed)


def assign_folds(
    part: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, n_folds: int, seed: int
) -> np.ndarray:
    """The parts with the same test examples and the others in new folds, by the seed."""
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
