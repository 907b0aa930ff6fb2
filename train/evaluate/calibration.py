"""Logits to probabilities, and whether these mean what they say.

numpy alone is imported here: prediction through ONNX needs nothing else of it.
"""

from dataclasses import dataclass

import numpy as np

from common.fields import Fields
from common.recordings import by_recording

N_BINS = 10
# How often a sound model is to be spared a warning. At 95 %, one warning in twenty is for nothing,
# and more where answers within groups seem less alike than they are (bench/RESULTS.md).
SPARED = 0.98
N_DRAWS = 400  # tests of a perfectly calibrated model that are simulated
SLOPES = (0.05, 20.0)  # as temperatures: a class whose logits tell nothing keeps their order


@dataclass(frozen=True)
class LabelCalibration:
    """How a model that gives several labels answers: each class a question of its own.

    A probability is the sigmoid of slope * logit + offset, and a class is named from its threshold
    on. All are of each class, (C,).
    """

    slopes: tuple[float, ...]
    offsets: tuple[float, ...]
    thresholds: tuple[float, ...]

    @classmethod
    def from_fields(cls, fields: Fields, n_classes: int) -> "LabelCalibration":
        """The checked values; ValueError that names the wrong one."""
        return cls(
            slopes=fields.numbers("slopes", n_classes, low=1e-6),
            offsets=fields.numbers("offsets", n_classes),
            thresholds=fields.numbers("thresholds", n_classes, low=0.0),
        )

    def named(self, probabilities: np.ndarray) -> np.ndarray:
        """Which classes are named, bool (..., C), by their probabilities (..., C)."""
        found: np.ndarray = probabilities >= np.array(self.thresholds)
        return found


def probabilities_of(
    logits: np.ndarray, temperature: float, several: LabelCalibration | None = None
) -> np.ndarray:
    """Probabilities float64 (n, C): the softmax of logits (n, C) divided by the temperature.

    several: of a model that gives several labels: each class has a probability of its own.
    """
    if several:
        scaled = np.asarray(logits, np.float64) * several.slopes + several.offsets
        return _sigmoid(scaled)
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


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    """Of each of them, in [0, 1], without overflow."""
    shares: np.ndarray = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
    return shares


def fit_labels(logits: np.ndarray, labels: np.ndarray, recordings: np.ndarray) -> LabelCalibration:
    """Slopes, offsets and thresholds from held-out logits (n, C) and labels (n, C), 1 or 0.

    Slope and offset have the highest likelihood (J. Platt, "Probabilistic outputs for support
    vector machines", 1999, with his targets, which keep few examples from being certain);
    thresholds, for the highest F1, are by recording: the mean of its clips; recordings (n,).
    """
    fitted = [_fit_label(*column) for column in zip(logits.T, labels.T > 0, strict=True)]
    slopes, offsets = (tuple(values) for values in zip(*fitted, strict=True))
    probabilities = probabilities_of(logits, 1.0, LabelCalibration(slopes, offsets, slopes))
    probabilities, labels, _ = by_recording(probabilities, labels, recordings, recordings)
    thresholds = (threshold_of(*column) for column in zip(probabilities.T, labels.T, strict=True))
    return LabelCalibration(slopes, offsets, tuple(thresholds))


def _fit_label(logits: np.ndarray, has: np.ndarray) -> tuple[float, float]:
    """(slope, offset) of one class, whose examples `has` bool (n,) tells."""
    from scipy.optimize import minimize

    n = int(has.sum())
    targets = np.where(has, (n + 1) / (n + 2), 1 / (len(has) - n + 2))
    z = np.asarray(logits, np.float64)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = values[0] * z + values[1]
        off = _sigmoid(scaled) - targets
        total = np.logaddexp(0, scaled) - targets * scaled
        return float(total.mean()), np.array([(off * z).mean(), off.mean()])

    found = minimize(loss, [1.0, 0.0], jac=True, bounds=[SLOPES, (None, None)])
    return float(found.x[0]), float(found.x[1])


def threshold_of(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The threshold for the highest F1 of one class: half of that F1; 0.5 without examples.

    probabilities (n,), calibrated; labels (n,), 1 or 0. Of calibrated probabilities this is the
    best (Z. Lipton, C. Elkan, B. Naryanaswamy, "Optimal Thresholding of Classifiers to Maximize F1
    Measure", ECML PKDD 2014), and it varies less than the place where F1 happens to be highest.
    """
    if not labels.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    has, ranked = labels[order] > 0, probabilities[order]
    f1 = 2 * np.cumsum(has) / (np.arange(1, len(has) + 1) + has.sum())
    ends = np.append(ranked[1:] < ranked[:-1], True)  # equal probabilities are named together
    return float(f1[ends].max() / 2)


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

    mean: of many simulated tests; limit: what 98 of 100 stay below; bins: (low, high) of the
    accuracy in each confidence bin, 95 of 100 times.
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
    confidence, right = _answers_given(probabilities, labels)
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
    return sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / labels.size


def _answers_given(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(confidence, whether it was right) of each answer; of several labels (n, C), of each one."""
    if labels.ndim == 2:
        return probabilities.ravel(), labels.ravel() > 0
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def calibration_by_chance(
    probabilities: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> ChanceCalibration:
    """What the test would give if every probability were exactly right, by simulation.

    probabilities (n, C); labels, groups (n,). Answers within a group are right or wrong together
    as much as they are here: ten clips of one song tell less than ten songs.
    """
    confidence, right = _answers_given(probabilities, labels)
    _, index = np.unique(groups, return_inverse=True)
    index = np.repeat(index, len(right) // len(index))  # of several labels, one for each
    numbers = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    _, bins = np.unique(numbers, return_inverse=True)
    sizes = np.bincount(bins)
    together = np.sqrt(_alike_within_groups(right - confidence, confidence, index))
    rng = np.random.default_rng(0)
    n, n_groups = len(right), int(index.max()) + 1
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
        limit=float(np.quantile(errors, SPARED)),
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
