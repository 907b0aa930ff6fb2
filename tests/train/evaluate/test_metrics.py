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
from train.evaluate.metrics import by_recording, group_interval, score


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


@pytest.mark.parametrize(
    ("n_groups", "clips", "alike", "accuracy"),
    [(80, 3, 1.0, 0.7), (40, 3, 0.5, 0.8), (80, 1, 0.0, 0.6), (20, 3, 1.0, 0.8), (20, 3, 1.0, 0.9)],
)
def test_intervals_cover_the_truth_95_times_in_100(
    n_groups: int, clips: int, alike: float, accuracy: float
) -> None:
    """alike: how many of the groups are right or wrong as a whole.

    With 2,000 trials, 93 to 97 in 100 is four standard errors to either side.
    """
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(n_groups), clips)
    covered = 0
    for _ in range(2000):
        whole = rng.random(n_groups) < alike
        chances = np.where(whole, rng.random(n_groups) < accuracy, accuracy)
        low, high = group_interval(rng.random(len(groups)) < chances[groups], groups)
        covered += low <= accuracy <= high
    assert 0.93 <= covered / 2000 <= 0.97


def test_intervals_of_ten_groups_err_on_the_safe_side() -> None:
    """Ten recordings of which nine in ten are right: the usual bootstrap covers half of these."""
    rng = np.random.default_rng(0)
    groups = np.arange(10)
    trials = [group_interval(rng.random(10) < 0.93, groups) for _ in range(1000)]
    assert np.mean([low <= 0.93 <= high for low, high in trials]) >= 0.95


def test_intervals_know_that_clips_of_a_song_are_one_fact() -> None:
    right = np.repeat(np.random.default_rng(0).random(80) < 0.7, 3)
    together = np.ptp(group_interval(right, np.repeat(np.arange(80), 3)))
    assert together / np.ptp(group_interval(right, np.arange(240))) == pytest.approx(
        np.sqrt(3), rel=0.1
    )
    assert np.ptp(group_interval(right[:3], np.zeros(3))) > 0.75  # one song tells little


def test_an_interval_of_single_pictures_is_wilsons() -> None:
    """Up to Student's t in place of 1.96: the formula gives (0.7112, 0.8666) for 80 of 100."""
    right = np.arange(100) < 80
    low, high = group_interval(right, np.arange(100))
    assert (low, high) == (pytest.approx(0.7112, abs=0.003), pytest.approx(0.8666, abs=0.003))


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


def test_clips_are_averaged_to_recordings() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    mean, labels, groups = by_recording(
        probabilities, np.array([0, 1, 0]), np.array(["x", "y", "x"]), np.array(["g", "h", "g"])
    )
    assert mean.tolist() == [[0.65, 0.35], [0.2, 0.8]]
    assert labels.tolist() == [0, 1]
    assert groups.tolist() == ["g", "h"]
