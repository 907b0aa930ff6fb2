"""What the numbers mean: accuracy with its interval, and the figures of every class."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from train.evaluate.calibration import ConfidenceBin, expected_calibration_error, reliability


@dataclass(frozen=True)
class ClassScores:
    """precision, recall and f1 of one class in [0, 1], and its number of examples.

    recall_interval_95 is (0, 1) without examples.
    """

    precision: float
    recall: float
    recall_interval_95: tuple[float, float]
    f1: float
    n: int


@dataclass(frozen=True)
class Scores:
    """Every figure of one set of predictions; shares are in [0, 1].

    n_groups: of examples that stand or fall together; majority_baseline: the accuracy of always
    answering majority_class; confusion_matrix: counts, rows true, columns predicted; top5_accuracy:
    None for five classes or fewer.
    """

    n: int
    n_groups: int
    accuracy: float
    accuracy_interval_95: tuple[float, float]
    macro_f1: float
    majority_baseline: float
    majority_class: str
    expected_calibration_error: float
    reliability: list[ConfidenceBin]
    per_class: dict[str, ClassScores]
    confusion_matrix: list[list[int]]
    top5_accuracy: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain data for JSON, without those that there are none of."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Scores":
        """The scores that `to_dict` made plain."""
        low, high = plain["accuracy_interval_95"]
        bins = [ConfidenceBin(**one) for one in plain["reliability"]]
        per_class = {name: _class_scores(row) for name, row in plain["per_class"].items()}
        typed = {"accuracy_interval_95": (low, high), "reliability": bins, "per_class": per_class}
        return cls(**plain | typed)


def _class_scores(plain: dict[str, Any]) -> ClassScores:
    low, high = plain["recall_interval_95"]
    return ClassScores(**plain | {"recall_interval_95": (low, high)})


def group_interval(
    right: np.ndarray, groups: np.ndarray, level: float = 0.95
) -> tuple[float, float]:
    """(low, high) of the mean of `right`, whose examples may be alike within groups.

    The narrower of two of Wilson's intervals. Either there are as many independent examples as
    would vary as the groups do, with Student's t for how well so few groups tell that (Korn and
    Graubard, Survey Methodology 24, 1998); or, at worst, no more than there are groups (Kish).
    Drawing groups again (bootstrap) holds the truth 52 to 93 times in 100 for 10 groups.
    """
    _, index = np.unique(groups, return_inverse=True)
    n_right = np.bincount(index, weights=right.astype(float))
    size = np.bincount(index)
    n, n_groups, share = len(right), len(size), float(right.mean())
    tail = (1 + level) / 2
    worst = wilson_interval(share, n**2 / np.sum(size**2), float(norm.ppf(tail)))
    if n_groups < 2:
        return worst
    variance = n_groups / (n_groups - 1) * np.sum((n_right - share * size) ** 2) / n**2
    if variance == 0:  # all groups are equal, which tells nothing about how they vary
        return worst
    alike = min(share * (1 - share) / variance, n)
    own = wilson_interval(share, alike, float(student_t.ppf(tail, n_groups - 1)))
    return min(own, worst, key=lambda ends: ends[1] - ends[0])


def wilson_interval(share: float, n: float, z: float) -> tuple[float, float]:
    """(low, high) of a share of n independent examples (E. B. Wilson, JASA 22, 1927)."""
    middle = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return float((middle - half) / scale), float((middle + half) / scale)


def score(
    probabilities: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    classes: tuple[str, ...],
    majority: int,
) -> Scores:
    """Every figure of one set of predictions.

    probabilities (n, C); labels int (n,); groups (n,); majority is the largest class of training,
    whose share of these examples is the baseline that any classifier must beat.
    """
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    numbers = np.arange(len(classes))
    top5 = None
    if len(classes) > 5:
        best = np.argsort(-probabilities, axis=1)[:, :5]
        top5 = float((best == labels[:, None]).any(axis=1).mean())
    return Scores(
        n=len(labels),
        n_groups=len(np.unique(groups)),
        accuracy=float(right.mean()),
        accuracy_interval_95=group_interval(right, groups),
        macro_f1=float(
            f1_score(labels, predicted, labels=numbers, average="macro", zero_division=0)
        ),
        majority_baseline=float((labels == majority).mean()),
        majority_class=classes[majority],
        expected_calibration_error=expected_calibration_error(probabilities, labels),
        reliability=reliability(probabilities, labels),
        per_class=score_classes(predicted, labels, groups, classes),
        confusion_matrix=confusion_matrix(labels, predicted, labels=numbers).tolist(),
        top5_accuracy=top5,
    )


def score_classes(
    predicted: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: tuple[str, ...]
) -> dict[str, ClassScores]:
    """The scores of each class by its name."""
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), zero_division=0
    )
    scores = {}
    for i, name in enumerate(classes):
        mine = labels == i
        scores[name] = ClassScores(
            precision=float(precision[i]),
            recall=float(recall[i]),
            recall_interval_95=(
                group_interval(predicted[mine] == i, groups[mine]) if mine.any() else (0.0, 1.0)
            ),
            f1=float(f1[i]),
            n=int(support[i]),
        )
    return scores


def by_recording(
    probabilities: np.ndarray, labels: np.ndarray, recordings: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(probabilities (r, C), labels (r,), groups (r,)): each recording the mean of its clips."""
    _, first, index = np.unique(recordings, return_index=True, return_inverse=True)
    total = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(total, index, probabilities)
    return total / np.bincount(index)[:, None], labels[first], groups[first]
