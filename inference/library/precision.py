"""From which probability on an answer is right often enough, told from held-out songs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.files import probabilities_in, read_rows
from common.recordings import by_recording, labels_of, recording_of

LEVEL = 0.95  # of 100 promises, how many are kept at least
LIKELIER_THAN_NOT = 0.5


@dataclass(frozen=True)
class HeldOut:
    """Answers for songs that the model had not seen.

    probabilities float (n, C), the mean of a song's clips; labels: indices of their true classes
    int (n,), or where songs have several, bool (n, C); groups (n,), whose songs are alike.
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    @property
    def named(self) -> np.ndarray:
        """Which classes are answered, bool (n, C): the likeliest.

        Where songs have several, all that are likelier than not: of others none promises anything.
        """
        if self.labels.ndim == 2:
            likely: np.ndarray = self.probabilities >= LIKELIER_THAN_NOT
            return likely
        return self._one_of(self.probabilities.argmax(axis=1))

    @property
    def true(self) -> np.ndarray:
        """Which classes songs have, bool (n, C)."""
        return self.labels if self.labels.ndim == 2 else self._one_of(self.labels)

    def _one_of(self, labels: np.ndarray) -> np.ndarray:
        one: np.ndarray = labels[:, None] == np.arange(len(self.classes))
        return one


@dataclass(frozen=True)
class Threshold:
    """The probability from which on answers are right as often as asked, None if there is none.

    n, n_right: held-out songs above it, or all of the class where there is none; at_least: the
    lower end of the one-sided 95 % interval of their precision; n_needed: how many groups it would
    take if all were right.
    """

    probability: float | None
    n: int
    n_right: int
    at_least: float
    n_needed: int


def read_held_out(file: Path, classes: Sequence[str], *, several: bool = False) -> HeldOut:
    """The held-out songs of a run's predictions.csv; several: songs may have several labels.

    Raises ValueError if it is none of these classes.
    """
    columns, rows = read_rows(file)
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    wanted = ("path", "label", "group", *classes)
    if missing := [name for name in wanted if name not in columns]:
        raise ValueError(f"{file} has no column {', '.join(missing)}: it is of another model")
    try:
        labels = [_has(row["label"], classes, several=several) for row in records]
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    if not records:
        raise ValueError(f"{file} has no held-out answers")
    probabilities = np.array([probabilities_in((row[c] for c in classes), file) for row in records])
    recordings = np.array([recording_of(row["path"]) for row in records])
    has = np.array(labels) if several else np.argmax(labels, axis=1)
    found = by_recording(probabilities, has, recordings, np.array([r["group"] for r in records]))
    return HeldOut(tuple(classes), *found)


def _has(cell: str, classes: Sequence[str], *, several: bool) -> list[bool]:
    """Which classes the label of a row names, (C,); ValueError if none, or several unasked for."""
    if not (named := labels_of(cell, classes, several=several)):
        if labels_of(cell, classes, several=True):
            raise ValueError(f"{cell} are several labels, and the model gives one")
        raise ValueError(f"{cell} is no class of the model")
    return [name in named for name in classes]


def thresholds(
    held_out: HeldOut, precision: float, *, together: bool = False
) -> dict[str, Threshold]:
    """The threshold of each class for a precision in (0, 1); together: one for all of them.

    Answers are ranked by their probability. From the fewest at the top that could tell, down to
    the first rank at which the lower bound falls below what is asked, each rank is a hypothesis
    that is tested only if all before it were kept: so the promise holds although the threshold is
    chosen by the same songs (A. N. Angelopoulos et al., "Learn then Test", 2021).
    """
    found = dict[str, Threshold]()
    named, true = held_out.named, held_out.true
    for number, label in enumerate(held_out.classes):
        if number and together:
            found[label] = found[held_out.classes[0]]
            continue
        own = np.arange(len(held_out.classes)) == number
        songs, columns = np.nonzero(named & (own | together))
        confidence = held_out.probabilities[songs, columns]
        ranked = np.argsort(-confidence, kind="stable")
        right = true[songs, columns][ranked]
        groups = held_out.groups[songs][ranked]
        found[label] = _threshold(confidence[ranked], right, groups, precision)
    return found


def _threshold(
    confidence: np.ndarray, right: np.ndarray, groups: np.ndarray, precision: float
) -> Threshold:
    """The threshold of answers in the order of their confidence (n,), the surest first."""
    n_needed = int(np.ceil(np.log(1 - LEVEL) / np.log(precision)))
    bounds = _lower_bounds(right, groups)
    could_tell = _lower_bounds(np.ones_like(right), groups) >= precision
    # Answers of one probability stand above a threshold together or not at all.
    last_of_its_kind = np.append(np.diff(confidence) < 0, True)[: len(confidence)]
    kept = 0
    for rank in np.flatnonzero(could_tell & last_of_its_kind):
        if bounds[rank] < precision:
            break
        kept = int(rank) + 1
    n = kept or len(right)
    return Threshold(
        probability=float(confidence[kept - 1]) if kept else None,
        n=n,
        n_right=int(right[:n].sum()),
        at_least=float(bounds[n - 1]) if n else 0.0,
        n_needed=n_needed,
    )


def _lower_bounds(right: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Of the first 1, 2, ... n answers, the one-sided lower bound of the share that is right.

    Clopper and Pearson's (Biometrika 26, 1934), of no more answers than there are groups in effect
    (Kish): those of a group may all be right or wrong together.
    """
    from scipy.stats import beta

    _, index = np.unique(groups, return_inverse=True)
    sizes = np.zeros(len(groups), int)
    squares, total = np.empty(len(groups)), 0
    for i, group in enumerate(index):
        total += 2 * sizes[group] + 1  # (s + 1)^2 - s^2
        sizes[group] += 1
        squares[i] = total
    n = np.arange(1, len(groups) + 1)
    effective = n**2 / squares
    n_right = np.cumsum(right) / n * effective
    low = beta.ppf(1 - LEVEL, n_right, effective - n_right + 1)
    bounds: np.ndarray = np.where(n_right > 0, low, 0.0)
    return bounds
