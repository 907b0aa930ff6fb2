"""What the numbers mean: accuracy with its interval, per class, calibration. numpy and sklearn."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in [0.05, 20] with the lowest negative log-likelihood on held-out logits.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits.astype(np.float64) / np.exp(log_temperature), axis=1)
        return -scaled[np.arange(len(labels)), labels].mean()

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20))).x))


def reliability(
    probabilities: np.ndarray, labels: np.ndarray, n_bins: int = 10
) -> list[dict[str, float]]:
    """{n, confidence, accuracy}, the means in each equal-width confidence bin that is not empty."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    return [
        {
            "n": int((bins == b).sum()),
            "confidence": float(confidence[bins == b].mean()),
            "accuracy": float(right[bins == b].mean()),
        }
        for b in np.unique(bins)
    ]


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, n_bins: int = 10
) -> float:
    """Mean gap in [0, 1] between confidence and accuracy over equal-width confidence bins."""
    bins = reliability(probabilities, labels, n_bins)
    return sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / len(labels)


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
) -> dict[str, Any]:
    """Every figure of one set of predictions, ready for JSON.

    probabilities (n, C); labels int (n,); groups (n,); majority is the largest class of training,
    whose share of these examples is the baseline that any classifier must beat.
    """
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    numbers = np.arange(len(classes))
    scores: dict[str, Any] = {
        "n": len(labels),
        "n_groups": len(np.unique(groups)),
        "accuracy": float(right.mean()),
        "accuracy_interval_95": group_interval(right, groups),
        "macro_f1": float(
            f1_score(labels, predicted, labels=numbers, average="macro", zero_division=0)
        ),
        "majority_baseline": float((labels == majority).mean()),
        "majority_class": classes[majority],
        "expected_calibration_error": expected_calibration_error(probabilities, labels),
        "reliability": reliability(probabilities, labels),
        "per_class": per_class(predicted, labels, groups, classes),
        "confusion_matrix": confusion_matrix(labels, predicted, labels=numbers).tolist(),
    }
    if len(classes) > 5:
        best = np.argsort(-probabilities, axis=1)[:, :5]
        scores["top5_accuracy"] = float((best == labels[:, None]).any(axis=1).mean())
    return scores


def per_class(
    predicted: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """precision, recall with its interval, f1 and n of each class; no interval without examples."""
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), zero_division=0
    )
    figures = {}
    for i, name in enumerate(classes):
        mine = labels == i
        figures[name] = {
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "recall_interval_95": (
                group_interval(predicted[mine] == i, groups[mine]) if mine.any() else (0.0, 1.0)
            ),
            "f1": float(f1[i]),
            "n": int(support[i]),
        }
    return figures


def by_recording(
    probabilities: np.ndarray, labels: np.ndarray, recordings: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(probabilities (r, C), labels (r,), groups (r,)): each recording the mean of its clips."""
    _, first, index = np.unique(recordings, return_index=True, return_inverse=True)
    total = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(total, index, probabilities)
    return total / np.bincount(index)[:, None], labels[first], groups[first]
