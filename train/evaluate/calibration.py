"""Logits to probabilities, and whether these mean what they say.

numpy alone is imported here: prediction through ONNX needs nothing else of it.
"""

from dataclasses import dataclass

import numpy as np

N_BINS = 10


def probabilities_of(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities float64 (n, C): the softmax of logits (n, C) divided by the temperature."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in [0.05, 20] with the lowest negative log-likelihood on held-out logits.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits.astype(np.float64) / np.exp(log_temperature), axis=1)
        return float(-scaled[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20))).x))


@dataclass(frozen=True)
class ConfidenceBin:
    """n answers of about one confidence, their mean confidence and their accuracy in [0, 1]."""

    n: int
    confidence: float
    accuracy: float


def reliability(
    probabilities: np.ndarray, labels: np.ndarray, n_bins: int = N_BINS
) -> list[ConfidenceBin]:
    """The answers in equal-width bins of their confidence; empty bins are left out."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    return [
        ConfidenceBin(
            n=int((bins == b).sum()),
            confidence=float(confidence[bins == b].mean()),
            accuracy=float(right[bins == b].mean()),
        )
        for b in np.unique(bins)
    ]


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, n_bins: int = N_BINS
) -> float:
    """Mean gap in [0, 1] between confidence and accuracy over equal-width confidence bins."""
    bins = reliability(probabilities, labels, n_bins)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / len(labels)
