"""What the frozen features of the training part tell: what more songs are worth, what leaks are.

A ridge classifier on the features stands for the network: it takes milliseconds where a training
takes minutes, so that splits and sizes can be compared by the dozen.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

from common.intervals import mean_interval
from data.splits import scarce_classes
from train.loop.embeddings import Embeddings

N_FOLDS, N_REPEATS = 5, 2
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the training groups
MIN_GROUPS = 30
MAX_EXAMPLES = 1000
RIDGE = 0.1  # of the mean squared length of a feature vector


@dataclass(frozen=True)
class FrozenFeatures:
    """Similarity of every two examples (n, n) by their frozen features, and what they are.

    labels int, groups and recordings (n,).
    """

    similarity: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    recordings: np.ndarray

    @classmethod
    def of(
        cls,
        embeddings: Embeddings | np.ndarray,
        labels: np.ndarray,
        groups: np.ndarray,
        recordings: np.ndarray,
    ) -> "FrozenFeatures":
        """The similarity of standardised embeddings float (n, F), of 1,000 at most.

        No others are read: those of a million pictures do not fit in memory.
        """
        some = np.sort(np.random.default_rng(0).permutation(len(labels))[:MAX_EXAMPLES])
        rows = np.asarray(embeddings[some], dtype=np.float32)
        rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6)
        return cls(rows @ rows.T, labels[some], groups[some], recordings[some])

    def right(self, train: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        """Whether each held-out example is classified correctly, having trained on `train`."""
        targets = np.eye(int(self.labels.max()) + 1)[self.labels[train]]
        mean = targets.mean(axis=0)
        own = self.similarity[np.ix_(train, train)]
        own[np.diag_indices(len(train))] += RIDGE * np.trace(own) / len(train)
        weights = solve(own, (targets - mean).astype(np.float32), assume_a="pos")
        scores = self.similarity[np.ix_(held_out, train)] @ weights + mean
        found: np.ndarray = scores.argmax(axis=1) == self.labels[held_out]
        return found


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy by the number of training groups, and what doubling it is worth in points.

    doubling: (gain, low, high) per doubling, with its 95 % interval over groups.
    """

    n_groups: list[int]
    accuracy: list[float]
    interval_95: list[tuple[float, float]]
    doubling: tuple[float, float, float]

    def worth(self, n_more: int) -> tuple[float, float, float]:
        """(gain, low, high) in [0, 1] that so many more groups would bring, by the same trend."""
        doublings = float(np.log2(1 + n_more / self.n_groups[-1]))
        gain, low, high = (doublings * figure for figure in self.doubling)
        return gain, low, high


def learning_curve(features: FrozenFeatures) -> LearningCurve | None:
    """The accuracy on held-out groups by the share of groups trained on; None for few groups."""
    groups = np.unique(features.groups)
    if len(groups) < MIN_GROUPS:
        return None
    right = np.zeros((len(SHARES), len(features.labels)))
    n_trained = np.zeros(len(SHARES))
    for repeat in range(N_REPEATS):
        rng = np.random.default_rng(repeat)
        for train, held_out in _folds(features, features.groups, repeat):
            order = rng.permutation(np.unique(features.groups[train]))
            for k, share in enumerate(SHARES):
                some = order[: max(1, round(share * len(order)))]
                part = train[np.isin(features.groups[train], some)]
                right[k, held_out] += features.right(part, held_out) / N_REPEATS
                n_trained[k] += len(some) / (N_REPEATS * N_FOLDS)
    doublings = np.log2(n_trained)
    doublings -= doublings.mean()
    gains = doublings @ right / (doublings**2).sum()  # (n,): each example's own slope
    low, high = mean_interval(gains, features.groups)
    return LearningCurve(
        n_groups=[round(n) for n in n_trained],
        accuracy=right.mean(axis=1).tolist(),
        interval_95=[mean_interval(row, features.groups) for row in right],
        doubling=(float(gains.mean()), low, high),
    )


@dataclass(frozen=True)
class LeakageLevel:
    """Accuracy in [0, 1] when a split keeps whole units together: pictures, recordings, groups."""

    unit: str
    n_units: int
    accuracy: float
    interval_95: tuple[float, float]


def leakage_levels(features: FrozenFeatures) -> list[LeakageLevel]:
    """The same examples cross-validated by picture, by recording and by group, where these differ.

    What a split by picture gives more than one by group is owed to having heard the same song.
    """
    named = {"recording": features.recordings, "group": features.groups}
    units = {"picture": np.arange(len(features.labels))}
    for name, column in named.items():
        if all(len(np.unique(column)) < len(np.unique(other)) for other in units.values()):
            units[name] = column
    if len(units) < 2 or min(len(np.unique(column)) for column in units.values()) < N_FOLDS:
        return []
    levels = []
    for name, column in units.items():
        right = np.zeros(len(column))
        for repeat in range(N_REPEATS):
            for train, held_out in _folds(features, column, repeat):
                right[held_out] += features.right(train, held_out) / N_REPEATS
        interval = mean_interval(right, features.groups)
        levels.append(LeakageLevel(name, len(np.unique(column)), float(right.mean()), interval))
    return levels


def _folds(
    features: FrozenFeatures, column: np.ndarray, repeat: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    labels = features.labels
    settings: dict[str, Any] = {"shuffle": True, "random_state": repeat}
    if np.bincount(labels).max() < N_FOLDS:  # too few of every class to be stratified
        return list(GroupKFold(N_FOLDS, **settings).split(labels, labels, column))
    with scarce_classes():
        if len(np.unique(column)) == len(column):
            return list(StratifiedKFold(N_FOLDS, **settings).split(labels, labels))
        return list(StratifiedGroupKFold(N_FOLDS, **settings).split(labels, labels, column))
