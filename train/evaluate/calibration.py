"""Logits to probabilities, and whether these mean what they say.

numpy alone is imported here: prediction through ONNX needs nothing else of it.
"""

from dataclasses import dataclass

import numpy as np

N_BINS = 10
N_DRAWS = 400  # tests of a perfectly calibrated model that are simulated


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
    """n answers of about one confidence, their mean confidence and their accuracy in [0, 1].

    by_chance: what 95 of 100 tests of a perfectly calibrated model would have as accuracy.
    """

    n: int
    confidence: float
    accuracy: float
    by_chance: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class ChanceCalibration:
    """The calibration error that perfectly calibrated probabilities would have in such a test.

    mean: of many simulated tests; limit: their 95th percentile; bins: (low, high) of the accuracy
    in each confidence bin, 95 of 100 times.
    """

    mean: float
    limit: float
    bins: list[tuple[float, float]]


def reliability(
    probabilities: np.ndarray,
    labels: np.ndarray,
    n_bins: int = N_BINS,
    by_chance: list[tuple[float, float]] | None = None,
) -> list[ConfidenceBin]:
    """The answers in equal-width bins of their confidence; empty bins are left out.

    by_chance: of `calibration_by_chance`, for its number of bins.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    filled = np.unique(bins)
    return [
        ConfidenceBin(
            n=int((bins == b).sum()),
            confidence=float(confidence[bins == b].mean()),
            accuracy=float(right[bins == b].mean()),
            by_chance=band,
        )
        for b, band in zip(filled, by_chance or [(0.0, 1.0)] * len(filled), strict=True)
    ]


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, n_bins: int = N_BINS
) -> float:
    """Mean gap in [0, 1] between confidence and accuracy over equal-width confidence bins."""
    bins = reliability(probabilities, labels, n_bins)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / len(labels)


def calibration_by_chance(
    probabilities: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> ChanceCalibration:
    """What the test would give if every probability were exactly right, by simulation.

    probabilities (n, C); labels, groups (n,). Answers within a group are right or wrong together
    as much as they are here: ten clips of one song tell less than ten songs.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    _, index = np.unique(groups, return_inverse=True)
    numbers = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    _, bins = np.unique(numbers, return_inverse=True)
    sizes = np.bincount(bins)
    together = np.sqrt(_alike_within_groups(right - confidence, confidence, index))
    rng = np.random.default_rng(0)
    n, n_groups = len(labels), int(index.max()) + 1
    accuracy = np.empty((N_DRAWS, len(sizes)))
    for draw in accuracy:
        shared = rng.random(n_groups)[index]
        luck = np.where(rng.random(n) < together, shared, rng.random(n))
        draw[:] = np.bincount(bins, weights=luck < confidence) / sizes
    gaps = np.abs(accuracy - np.bincount(bins, weights=confidence) / sizes)
    errors = gaps @ sizes / n
    low, high = np.quantile(accuracy, [0.025, 0.975], axis=0)
    return ChanceCalibration(
        mean=float(errors.mean()),
        limit=float(np.quantile(errors, 0.95)),
        bins=list(zip(low.tolist(), high.tolist(), strict=True)),
    )


def _alike_within_groups(off: np.ndarray, confidence: np.ndarray, index: np.ndarray) -> float:
    """Correlation in [0, 1] of what two answers of one group are off by; index: their groups."""
    off = off - off.mean()  # a model that is always too sure is not more alike within groups
    deviation = np.sqrt(confidence * (1 - confidence))
    expected = np.bincount(index, weights=deviation) ** 2 - np.bincount(index, weights=deviation**2)
    products = np.bincount(index, weights=off) ** 2 - np.bincount(index, weights=off**2)
    total = expected.sum()
    return float(np.clip(products.sum() / total, 0, 1)) if total > 0 else 0.0
