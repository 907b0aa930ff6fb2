"""Metrics against scikit-learn, closed forms and simulations."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score, top_k_accuracy_score

from train.evaluate.calibration import (
    expected_calibration_error,
    fit_temperature,
    probabilities_of,
    reliability,
)
from train.evaluate.metrics import score


def random_predictions(n: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) and probabilities (n, C) that are right more often than chance."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += 1
    return labels, probabilities_of(logits, 1.0)


def test_scores_equal_scikit_learns() -> None:
    labels, probabilities = random_predictions(200, 7, seed=1)
    classes = tuple("abcdefg")
    groups = np.arange(200) // 4
    scores = score(probabilities, labels, groups, classes=classes, majority=2)
    predicted = probabilities.argmax(axis=1)
    assert scores.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert scores.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert scores.top5_accuracy == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5))
    recalls = recall_score(labels, predicted, average=None)
    assert [scores.per_class[c].recall for c in classes] == pytest.approx(list(recalls))
    assert scores.majority_baseline == pytest.approx((labels == 2).mean())
    assert scores.n_groups == 50


def test_confusion_matrix_has_true_classes_in_rows() -> None:
    probabilities = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    scores = score(probabilities, np.array([0, 0, 1]), np.arange(3), classes=("a", "b"), majority=0)
    assert scores.confusion_matrix == [[0, 2], [0, 1]]
    assert scores.top5_accuracy is None and "top5_accuracy" not in scores.to_dict()


def test_temperature_recovers_the_overconfidence_that_was_put_in() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 5)) * 2
    labels = np.array([rng.choice(5, p=p) for p in probabilities_of(logits, 1.0)])
    overconfident = (logits * 3).astype(np.float32)
    temperature = fit_temperature(overconfident, labels)
    assert temperature == pytest.approx(3, rel=0.1)
    before = expected_calibration_error(probabilities_of(overconfident, 1), labels)
    after = expected_calibration_error(probabilities_of(overconfident, temperature), labels)
    assert after < 0.03 < 0.2 < before


def test_reliability_bins_hold_every_example_once() -> None:
    labels, probabilities = random_predictions(300, 4, seed=2)
    bins = reliability(probabilities, labels)
    assert sum(b.n for b in bins) == 300
    right = probabilities.argmax(axis=1) == labels
    assert sum(b.n * b.accuracy for b in bins) == pytest.approx(right.sum())
    mean = sum(b.n * b.confidence for b in bins) / 300
    assert mean == pytest.approx(probabilities.max(axis=1).mean())


def test_calibration_error_of_a_known_case() -> None:
    """Four answers at 0.9 of which three are right: the gap is 0.15."""
    probabilities = np.tile([0.9, 0.1], (4, 1))
    assert expected_calibration_error(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(0.15)
