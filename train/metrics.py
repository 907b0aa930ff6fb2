"""What the numbers mean: accuracy with its interval, per class, calibration. numpy and sklearn."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

N_BOOTSTRAP = 2000


def probabilities_of(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (n, C) of logits (n, C) divided by the temperature."""
    return softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in [0.05, 20] with the lowest negative log-likelihood on held-out logits.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits.astype(np.float64) / np.exp(log_temperature), axis=1)
        return -scaled[np.arange(len(labels)), labels].mean()

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20))).x))


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, n_bins: int = 10
) -> float:
    """Mean gap in [0, 1] between confidence and accuracy over equal-width confidence bins."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [
        (bins == b).mean() * abs(confidence[bins == b].mean() - right[bins == b].mean())
        for b in np.unique(bins)
    ]
    return float(np.sum(gaps))


def bootstrap_interval(
    right: np.ndarray, groups: np.ndarray, *, seed: int, level: float = 0.95
) -> tuple[float, float]:
    """(low, high) of the mean of `right` when whole groups are drawn again with replacement.

    Examples of one group are not independent: drawing examples would make the interval too narrow.
    """
    _, index = np.unique(groups, return_inverse=True)
    n_right = np.bincount(index, weights=right.astype(float))
    size = np.bincount(index)
    draws = np.random.default_rng(seed).integers(len(size), size=(N_BOOTSTRAP, len(size)))
    means = n_right[draws].sum(axis=1) / size[draws].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def score(
    probabilities: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    classes: tuple[str, ...],
    majority: int,
    seed: int,
) -> dict[str, Any]:
    """Every figure of one set of predictions, ready for JSON.

    probabilities (n, C); labels int (n,); groups (n,); majority is the largest class of training,
    whose share of these examples is the baseline that any classifier must beat.
    """
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    numbers = np.arange(len(classes))
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=numbers, zero_division=0
    )
    scores: dict[str, Any] = {
        "n": len(labels),
        "n_groups": len(np.unique(groups)),
        "accuracy": float(right.mean()),
        "accuracy_interval_95": bootstrap_interval(right, groups, seed=seed),
        "macro_f1": float(
            f1_score(labels, predicted, labels=numbers, average="macro", zero_division=0)
        ),
        "majority_baseline": float((labels == majority).mean()),
        "majority_class": classes[majority],
        "expected_calibration_error": expected_calibration_error(probabilities, labels),
        "per_class": {
            name: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "n": int(support[i]),
            }
            for i, name in enumerate(classes)
        },
        "confusion_matrix": confusion_matrix(labels, predicted, labels=numbers).tolist(),
    }
    if len(classes) > 5:
        best = np.argsort(-probabilities, axis=1)[:, :5]
        scores["top5_accuracy"] = float((best == labels[:, None]).any(axis=1).mean())
    return scores


def by_recording(
    probabilities: np.ndarray, labels: np.ndarray, recordings: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(probabilities (r, C), labels (r,), groups (r,)): each recording the mean of its clips."""
    _, first, index = np.unique(recordings, return_index=True, return_inverse=True)
    total = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(total, index, probabilities)
    return total / np.bincount(index)[:, None], labels[first], groups[first]
