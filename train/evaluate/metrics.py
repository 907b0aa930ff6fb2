"""What the numbers mean: accuracy with its interval, and the figures of every class."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from common.intervals import group_interval
from train.evaluate.calibration import (
    ConfidenceBin,
    calibration_by_chance,
    expected_calibration_error,
    reliability,
)


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
    answering majority_class; confusion_matrix: counts, rows true, columns predicted, empty where it
    was not kept; top5_accuracy: None for five classes or fewer; calibration_error_by_chance: mean
    and 95th percentile that a perfectly calibrated model would have in such a test.
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
    calibration_error_by_chance: tuple[float, float] = (0.0, 1.0)

    @property
    def off_calibration(self) -> bool:
        """Whether the probabilities are off by more than chance, with so few examples, explains."""
        return self.expected_calibration_error > self.calibration_error_by_chance[1]

    def to_dict(self, *, matrix: bool = True) -> dict[str, Any]:
        """The figures as plain data for JSON, without those that there are none of.

        matrix: with the confusion matrix.
        """
        kept = self if matrix else replace(self, confusion_matrix=[])
        return {key: value for key, value in asdict(kept).items() if value is not None}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Scores":
        """The scores that `to_dict` made plain."""
        typed = _with_pairs(plain, "accuracy_interval_95", "calibration_error_by_chance")
        typed["reliability"] = [
            ConfidenceBin(**_with_pairs(one, "by_chance")) for one in plain["reliability"]
        ]
        typed["per_class"] = {
            name: ClassScores(**_with_pairs(row, "recall_interval_95"))
            for name, row in plain["per_class"].items()
        }
        return cls(**typed)


def _with_pairs(plain: dict[str, Any], *names: str) -> dict[str, Any]:
    """The values, with tuples under the names: JSON has lists."""
    return plain | {name: tuple(plain[name]) for name in names if name in plain}


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
    by_chance = calibration_by_chance(probabilities, labels, groups)
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
        reliability=reliability(probabilities, labels, by_chance=by_chance.bins),
        per_class=score_classes(predicted, labels, groups, classes),
        confusion_matrix=confusion_matrix(labels, predicted, labels=numbers).tolist(),
        top5_accuracy=top5,
        calibration_error_by_chance=(by_chance.mean, by_chance.limit),
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
