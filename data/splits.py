"""A test part and folds of the rest: stratified by class, no group on two sides."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from data.examples import Examples

TEST, TRAIN, VALIDATION, UNUSED = "test", "train", "validation", ""
LEAST_GROUPS = 3  # of a class that is trained on, validated and tested
Fold = tuple[np.ndarray, np.ndarray]  # positions int of (training, validation)


@dataclass(frozen=True)
class Split:
    """Which examples are tested, and which each fold is trained on and validated with.

    parts: of each repeat of the cross-validation, str (n,): "test", the fold "1".."k" in which an
    example is held out, "train" for one that every fold trains on, or "train" and "validation",
    "" for one that is left out; folds: of all repeats in order; test: positions int (t,).
    Augmented clips are only ever trained on.
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
    names = sorted(set(part[usable]) - {TRAIN}, key=int)
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


def own_split(examples: Examples, *, n_folds: int, seed: int, n_repeats: int = 1) -> Split:
    """The split that the examples' folder brings, their `parts`.

    Without a validation part, what is trained on is cross-validated; without a test, what is
    validated with is tested.
    """
    part = np.array(examples.parts, dtype="U16")
    if TEST not in part:
        part[part == VALIDATION] = TEST
    if VALIDATION in part:
        return Split.of([part] * n_repeats, examples.augmented)
    seeds = [seed + 1000 * repeat for repeat in range(n_repeats)]
    return Split.of(
        [
            assign_folds(part, examples.labels, examples.groups, n_folds=n_folds, seed=each)
            for each in seeds
        ],
        examples.augmented,
    )


def assign_parts(
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    classes: tuple[str, ...],
    n_folds: int,
    test_fraction: float,
    seed: int,
) -> np.ndarray:
    """Part of each example, str (n,): "test", the fold "1".."k" that holds it out, or "train".

    Examples of one group share a part and each class is spread evenly. The groups of a class that
    has one or two are not tested, and one that is a class's only one is trained on in every fold.
    labels: int (n,), or of several labels (n, C), where a class may have one example. Raises
    ValueError when a class has one otherwise, or none has three groups.
    """
    masks = _class_masks(labels)
    n_groups = {label: len(np.unique(groups[mine])) for label, mine in masks.items()}
    for label, mine in masks.items():
        if mine.sum() == 1 and labels.ndim == 1:
            raise ValueError(
                f"class {classes[label]} has 1 group(s), and nothing but one picture in it: add "
                "recordings or leave the class out"
            )
    part = np.full(len(labels), TRAIN, dtype="U16")
    scarce = np.zeros(len(labels), dtype=bool)
    for label, mine in masks.items():
        scarce |= mine & (n_groups[label] < LEAST_GROUPS)
    order = _order(labels, groups)
    order = order[~np.isin(groups, groups[scarce])[order]]
    n_left = [len(np.unique(groups[order][mine[order]])) for mine in masks.values()]
    enough = [n for n in n_left if n >= LEAST_GROUPS]
    if not enough:
        raise ValueError(
            f"no class has {LEAST_GROUPS} groups, one each for training, validation and test: add "
            "recordings"
        )
    n_test, n_parts = _as_ratio(test_fraction)
    if n_test == 1:  # a small class has a larger part tested, rather than none
        n_parts = min(n_parts, *enough)
    test = _held_out(labels[order], groups[order], n_splits=n_parts, seed=seed) < n_test
    part[order[test]] = TEST
    return assign_folds(part, labels, groups, n_folds=n_folds, seed=seed)


def assign_folds(
    part: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, n_folds: int, seed: int
) -> np.ndarray:
    """The parts with the same test examples and the others in new folds, by the seed.

    What is a class's only group is in none of them.
    """
    order = _order(labels, groups)
    rest = order[part[order] != TEST]
    own = [np.unique(groups[mine]) for mine in _class_masks(labels).values()]
    alone = [names[0] for names in own if len(names) == 1]
    rest = rest[~np.isin(groups[rest], alone)]
    if n_folds:
        fold = _held_out(labels[rest], groups[rest], n_splits=n_folds, seed=seed)
    else:
        _, fold = np.unique(groups[rest], return_inverse=True)
    part = part.copy()
    part[rest] = (fold + 1).astype(str)
    return part


def _class_masks(labels: np.ndarray) -> dict[int, np.ndarray]:
    """{label: which examples have it, bool (n,)} of every label that an example has."""
    if labels.ndim == 2:
        return {int(i): labels[:, i] > 0 for i in np.flatnonzero(labels.any(axis=0))}
    return {label: labels == label for label in np.unique(labels)}


def _order(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The examples by group and label: the same whatever order they are in."""
    columns = labels.T if labels.ndim == 2 else [labels]
    return np.lexsort((*columns, groups))


@contextmanager
def scarce_classes() -> Iterator[None]:
    """Inside, a class may have fewer examples than folds and miss some: the summary says so."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        yield


def _as_ratio(fraction: float) -> tuple[int, int]:
    """The smallest (n, d) with n / d within a tenth of `fraction`, a number in (0, 1)."""
    d = next(d for d in count(2) if abs(round(fraction * d) / d - fraction) <= 0.1 * fraction)
    return round(fraction * d), d


def _held_out(labels: np.ndarray, groups: np.ndarray, *, n_splits: int, seed: int) -> np.ndarray:
    """Number 0..n_splits-1 of the part that holds each example out, int (n,)."""
    # scikit-learn wants a class with a picture for every part.
    most = max(int(mine.sum()) for mine in _class_masks(labels).values())
    if (n := min(len(np.unique(groups)), most)) < n_splits:
        what = "groups" if n < most else "pictures of the largest class"
        raise ValueError(
            f"{n} {what} cannot make {n_splits} parts; lower --folds, raise --test-fraction or add "
            "recordings"
        )
    if labels.ndim == 2:
        return _iterative(labels, groups, n_splits=n_splits, seed=seed)
    fold = np.empty(len(labels), dtype=int)
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    with scarce_classes():
        for k, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
            fold[held_out] = k
    return fold


def _iterative(labels: np.ndarray, groups: np.ndarray, *, n_splits: int, seed: int) -> np.ndarray:
    """Number 0..n_splits-1 of each example's part, int (n,), each label spread evenly over them.

    The rarest label's groups are dealt out first, the largest before the others, each to the part
    that lacks most of it, then most examples (K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the
    stratification of multi-label data", ECML PKDD 2011; here of whole groups). labels: (n, C).
    """
    names, index = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), labels.shape[1] + 1))  # of each label, and of examples
    np.add.at(counts, index, np.c_[labels, np.ones(len(labels))])
    lacking = np.tile(counts.sum(axis=0) / n_splits, (n_splits, 1))
    rng = np.random.default_rng(seed)
    chance = rng.permutation(len(names))
    part = np.full(len(names), -1)
    while (left := part < 0).any():
        n_left = (counts[left, :-1] > 0).sum(axis=0)
        label = int(np.where(n_left > 0, n_left, len(names) + 1).argmin())
        own = np.flatnonzero(left & (counts[:, label] > 0))
        for group in own[np.lexsort((chance[own], -counts[own, label]))]:
            order = np.lexsort((rng.random(n_splits), -lacking[:, -1], -lacking[:, label]))
            part[group] = order[0]
            lacking[order[0]] -= counts[group]
    return part[index]


def with_trained(split: Split, examples: Examples, pairs: Iterable[tuple[int, int]]) -> Split:
    """The split of the examples that were not corrected, and of those that were with them.

    pairs: positions of duplicates. A corrected recording is trained on in every fold, unless it is
    a duplicate: then it joins the other's part, that of the test if there are several.
    """
    corrected = examples.is_corrected
    if not corrected.any():
        return split
    twins: dict[str, list[int]] = {}
    for pair in pairs:
        for one, other in (pair, pair[::-1]):
            if corrected[one] and not corrected[other]:
                twins.setdefault(str(examples.groups[one]), []).append(other)
    parts = []
    for part in split.parts:
        whole = np.full(len(examples), TRAIN, dtype="U16")
        whole[~corrected] = part
        for group, others in twins.items():
            found = set(whole[others].tolist())
            joined = TEST if TEST in found else found.pop() if len(found) == 1 else UNUSED
            whole[corrected & (examples.groups == group)] = joined
        parts.append(whole)
    return Split.of(parts, examples.augmented)
