"""What the numbers mean: accuracy with its interval, and the figures of every class."""

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student_t
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from common.intervals import group_interval, wilson_interval
from data.examples import label_names
from train.evaluate.calibration import (
    ConfidenceBin,
    LabelCalibration,
    calibration_by_chance,
    expected_calibration_error,
    reliability,
)

N_RESAMPLED = 200


@dataclass(frozen=True)
class ClassScores:
    """precision, recall and f1 of one class in [0, 1], and its number of examples.

    recall_interval_95 is (0, 1) without examples. Of several labels also average_precision, None
    without examples, the threshold, and the calibration error of the class alone.
    """

    precision: float
    recall: float
    recall_interval_95: tuple[float, float]
    f1: float
    n: int
    average_precision: float | None = None
    threshold: float | None = None
    expected_calibration_error: float | None = None


class Merit(NamedTuple):
    """The figure that a model is judged by, in [0, 1], with its interval and what chance has."""

    name: str
    value: float
    interval_95: tuple[float, float]
    baseline: float


@dataclass(frozen=True)
class LabelScores:
    """What several labels have beside the figures of one; shares are in [0, 1].

    mean_average_precision: over the classes that have examples; by_chance: that of answers in any
    order, the mean share of examples with a label; micro_f1: of all labels of all examples
    together; n_labels, n_named: of an example, on average.
    """

    mean_average_precision: float
    interval_95: tuple[float, float]
    by_chance: float
    micro_f1: float
    n_labels: float
    n_named: float


@dataclass(frozen=True)
class Scores:
    """Every figure of one set of predictions; shares are in [0, 1].

    Of several labels, an answer is right if it has all of them and no other.

    n_groups: of examples that stand or fall together; majority_baseline: the accuracy of always
    answering majority_class; confusion_matrix: counts, rows true, columns predicted, empty where it
    was not kept; top5_accuracy: None for five classes or fewer; calibration_error_by_chance: mean
    and limit, below which 98 of 100 stay, for a perfectly calibrated model in such a test; several:
    None where an example has one label.
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
    several: LabelScores | None = None

    @property
    def merit(self) -> Merit:
        """The accuracy; of several labels the mean average precision."""
        if one := self.several:
            name = "mean average precision"
            return Merit(name, one.mean_average_precision, one.interval_95, one.by_chance)
        interval, baseline = self.accuracy_interval_95, self.majority_baseline
        return Merit("accuracy", self.accuracy, interval, baseline)

    @property
    def off_calibration(self) -> bool:
        """Whether the probabilities are off by more than chance, with so few examples, explains."""
        return self.expected_calibration_error > self.calibration_error_by_chance[1]

    def to_dict(self, *, matrix: bool = True) -> dict[str, Any]:
        """The figures as plain data for JSON, without those that there are none of.

        matrix: with the confusion matrix.
        """
        kept = self if matrix else replace(self, confusion_matrix=[])
        plain = {key: value for key, value in asdict(kept).items() if value is not None}
        for name, row in plain["per_class"].items():
            plain["per_class"][name] = {k: value for k, value in row.items() if value is not None}
        return plain

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
        if several := plain.get("several"):
            typed["several"] = LabelScores(**_with_pairs(several, "interval_95"))
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
    majority: int | np.ndarray,
    several: LabelCalibration | None = None,
) -> Scores:
    """Every figure of one set of predictions.

    probabilities (n, C); labels int (n,); groups (n,); majority is the largest class of training,
    whose share of these examples is the baseline that any classifier must beat. several: of a model
    that gives several labels; then labels (n, C) are 1 or 0, and majority are the commonest (C,).
    """
    predicted = several.named(probabilities) if several else probabilities.argmax(axis=1)
    right, common = predicted == labels, labels == majority
    if several:
        right, common = right.all(axis=1), common.all(axis=1)
    numbers = np.arange(len(classes))
    top5 = None
    if len(classes) > 5 and not several:
        best = np.argsort(-probabilities, axis=1)[:, :5]
        top5 = float((best == labels[:, None]).any(axis=1).mean())
    by_chance = calibration_by_chance(probabilities, labels, groups)
    classed = score_classes(predicted, labels, groups, classes)
    return Scores(
        n=len(labels),
        n_groups=len(np.unique(groups)),
        accuracy=float(right.mean()),
        accuracy_interval_95=group_interval(right, groups),
        macro_f1=float(
            f1_score(labels, predicted, labels=numbers, average="macro", zero_division=0)
        ),
        majority_baseline=float(common.mean()),
        majority_class=label_names(np.array([majority]), classes)[0],
        expected_calibration_error=expected_calibration_error(probabilities, labels),
        reliability=reliability(probabilities, labels, by_chance=by_chance.bins),
        per_class=with_labels(classed, probabilities, labels, several) if several else classed,
        confusion_matrix=[]
        if several
        else confusion_matrix(labels, predicted, labels=numbers).tolist(),
        top5_accuracy=top5,
        calibration_error_by_chance=(by_chance.mean, by_chance.limit),
        several=score_labels(probabilities, predicted, labels, groups) if several else None,
    )


def score_labels(
    probabilities: np.ndarray, predicted: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> LabelScores:
    """The figures of several labels: all of them (n, C), groups (n,)."""
    tested = np.flatnonzero(labels.any(axis=0))
    has, ranked = labels[:, tested] > 0, probabilities[:, tested]
    return LabelScores(
        mean_average_precision=float(average_precision_score(has, ranked, average="macro")),
        interval_95=average_precision_interval(ranked, has, groups),
        by_chance=float(has.mean()),
        micro_f1=float(f1_score(labels, predicted, average="micro", zero_division=0)),
        n_labels=float((labels > 0).sum(axis=1).mean()),
        n_named=float(predicted.sum(axis=1).mean()),
    )


def average_precision_interval(
    probabilities: np.ndarray, has: np.ndarray, groups: np.ndarray
) -> tuple[float, float]:
    """95 % t-interval of the mean average precision: its spread when whole groups are drawn again.

    probabilities (n, C); has: bool (n, C), some of each column; groups (n,). A class that a draw
    leaves without examples is left out of its mean. Where every draw has the same, as with one
    group, nothing tells the spread: Wilson's interval of a share of as many examples as groups.
    """
    names, index = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), N_RESAMPLED)
    total, n_classes = np.zeros(N_RESAMPLED), np.zeros(N_RESAMPLED)
    for column, mine in zip(probabilities.T, has.T, strict=True):
        order = np.argsort(-column, kind="stable")
        weights = drawn[:, index[order]]  # (N_RESAMPLED, n)
        found = np.cumsum(weights * mine[order], axis=1)
        precision = found / np.maximum(np.cumsum(weights, axis=1), 1)
        n_mine = found[:, -1]
        total += (precision * weights * mine[order]).sum(axis=1) / np.maximum(n_mine, 1)
        n_classes += n_mine > 0
    spread = float((total / np.maximum(n_classes, 1)).std(ddof=1))
    value = float(average_precision_score(has, probabilities, average="macro"))
    if spread < 1e-9:
        return wilson_interval(value, len(names))
    reach = spread * float(student_t.ppf(0.975, len(names) - 1))
    return max(0.0, value - reach), min(1.0, value + reach)


def with_labels(
    scores: dict[str, ClassScores],
    probabilities: np.ndarray,
    labels: np.ndarray,
    several: LabelCalibration,
) -> dict[str, ClassScores]:
    """The scores of each class with what each has of several labels (n, C)."""
    columns = zip(scores.items(), probabilities.T, labels.T, several.thresholds, strict=True)
    return {
        name: replace(
            row,
            average_precision=float(average_precision_score(has, column)) if has.any() else None,
            threshold=threshold,
            expected_calibration_error=expected_calibration_error(column[:, None], has[:, None]),
        )
        for (name, row), column, has, threshold in columns
    }


def score_classes(
    predicted: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: tuple[str, ...]
) -> dict[str, ClassScores]:
    """The scores of each class by its name."""
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), zero_division=0
    )
    scores = {}
    for i, name in enumerate(classes):
        mine, found = labels == i, predicted == i
        if labels.ndim == 2:
            mine, found = labels[:, i] > 0, predicted[:, i]
        scores[name] = ClassScores(
            precision=float(precision[i]),
            recall=float(recall[i]),
            recall_interval_95=(
                group_interval(found[mine], groups[mine]) if mine.any() else (0.0, 1.0)
            ),
            f1=float(f1[i]),
            n=int(support[i]),
        )
    return scores
