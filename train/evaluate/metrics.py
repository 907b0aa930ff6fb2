"""What the numbers mean: accuracy with its interval, and the figures of every class."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from common.intervals import group_interval
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
