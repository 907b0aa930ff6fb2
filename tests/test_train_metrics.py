"""Metrics against scikit-learn, closed forms and simulations."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score, top_k_accuracy_score

from train.metrics import (
    bootstrap_interval,
    by_recording,
    expected_calibration_error,
    fit_temperature,
    probabilities_of,
    score,
)


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
    scores = score(probabilities, labels, groups, classes=classes, majority=2, seed=0)
    predicted = probabilities.argmax(axis=1)
    assert scores["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert scores["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert scores["top5_accuracy"] == pytest.approx(
        top_k_accuracy_score(labels, probabilities, k=5)
    )
    recalls = recall_score(labels, predicted, average=None)
    assert [scores["per_class"][c]["recall"] for c in classes] == pytest.approx(list(recalls))
    assert scores["majority_baseline"] == pytest.approx((labels == 2).mean())
    assert scores["n_groups"] == 50


def test_confusion_matrix_has_true_classes_in_rows() -> None:
    probabilities = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    scores = score(
        probabilities, np.array([0, 0, 1]), np.arange(3), classes=("a", "b"), majority=0, seed=0
    )
    assert scores["confusion_matrix"] == [[0, 2], [0, 1]]
    assert "top5_accuracy" not in scores


def test_bootstrap_interval_covers_the_truth_and_sees_groups() -> None:
    """95 % intervals hold the true accuracy about 95 times in 100, though clips repeat groups."""
    rng = np.random.default_rng(0)
    covered, widths = 0, []
    groups = np.repeat(np.arange(80), 3)
    for _ in range(300):
        right = np.repeat(rng.random(80) < 0.7, 3)  # clips of a group are right or wrong together
        low, high = bootstrap_interval(right, groups, seed=int(rng.integers(2**31)))
        covered += low <= 0.7 <= high
        widths.append((high - low) / (np.ptp(bootstrap_interval(right, np.arange(240), seed=1))))
    assert 0.91 <= covered / 300 <= 0.98
    assert np.mean(widths) == pytest.approx(np.sqrt(3), rel=0.1)  # 80 independent facts, not 240


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


def test_calibration_error_of_a_known_case() -> None:
    """Four answers at 0.9 of which three are right: the gap is 0.15."""
    probabilities = np.tile([0.9, 0.1], (4, 1))
    assert expected_calibration_error(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(0.15)


def test_clips_are_averaged_to_recordings() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    mean, labels, groups = by_recording(
        probabilities, np.array([0, 1, 0]), np.array(["x", "y", "x"]), np.array(["g", "h", "g"])
    )
    assert mean.tolist() == [[0.65, 0.35], [0.2, 0.8]]
    assert labels.tolist() == [0, 1]
    assert groups.tolist() == ["g", "h"]
