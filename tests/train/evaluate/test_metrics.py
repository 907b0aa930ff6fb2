"""Metrics against scikit-learn, closed forms and simulations."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    recall_score,
    top_k_accuracy_score,
)

from data.examples import majority_of
from train.evaluate.calibration import (
    expected_calibration_error,
    fit_labels,
    fit_temperature,
    probabilities_of,
    reliability,
)
from train.evaluate.metrics import average_precision_interval, score


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


def several_labels(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n, 3), rare and common, and logits (n, 3): true, but of another scale and offset."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, 3)) * 2 + [-3, -1, 1]
    labels = (rng.random((n, 3)) < 1 / (1 + np.exp(-true))).astype(np.float32)
    return labels, 3 * true + [4, 0, -2]


def test_scores_of_several_labels_equal_scikit_learns() -> None:
    labels, logits = several_labels(300, seed=0)
    labels[:, 2] = 0  # a class without examples has no average precision
    calibration = fit_labels(logits, labels, np.arange(300).astype(str))
    probabilities = probabilities_of(logits, 1.0, calibration)
    common = majority_of(labels)
    scores = score(
        probabilities, labels, np.arange(300) // 3, classes=tuple("abc"), majority=common,
        several=calibration,
    )  # fmt: skip
    named = probabilities >= np.array(calibration.thresholds)
    assert scores.accuracy == pytest.approx(accuracy_score(labels, named))
    assert scores.macro_f1 == pytest.approx(
        f1_score(labels, named, average="macro", zero_division=0)
    )
    assert scores.majority_baseline == pytest.approx((labels == common).all(axis=1).mean())
    assert scores.several is not None
    assert scores.several.micro_f1 == pytest.approx(f1_score(labels, named, average="micro"))
    precisions = [average_precision_score(labels[:, i], probabilities[:, i]) for i in (0, 1)]
    assert scores.several.mean_average_precision == pytest.approx(np.mean(precisions))
    assert [scores.per_class[c].average_precision for c in "abc"] == pytest.approx(
        [*precisions, None]
    )
    assert scores.merit.value == scores.several.mean_average_precision
    assert type(scores).from_dict(scores.to_dict()) == scores
    assert scores.merit.baseline == pytest.approx(labels[:, :2].mean())


def test_each_class_is_calibrated_and_its_threshold_is_nearly_the_best() -> None:
    """Scale and offset that were put in are taken out; F1 on new examples is near the highest."""
    labels, logits = several_labels(6000, seed=1)
    found = fit_labels(logits[:3000], labels[:3000], np.arange(3000).astype(str))
    assert found.slopes == pytest.approx([1 / 3] * 3, rel=0.15)
    assert found.offsets == pytest.approx([-4 / 3, 0, 2 / 3], abs=0.3)
    probabilities, truth = probabilities_of(logits[3000:], 1.0, found), labels[3000:]
    for column, has, threshold in zip(probabilities.T, truth.T, found.thresholds, strict=True):
        best = max(f1_score(has, column >= t) for t in np.linspace(0.02, 0.9, 45))
        assert f1_score(has, column >= threshold) > best - 0.02
        assert expected_calibration_error(column[:, None], has[:, None]) < 0.03


def test_the_interval_of_the_mean_average_precision_holds_the_truth() -> None:
    """In at least 90 of 100 draws of 60 groups whose two examples are one and the same."""
    labels, logits = several_labels(50_000, seed=2)
    truth = average_precision_score(labels, logits, average="macro")
    rng, held = np.random.default_rng(3), 0
    for _ in range(100):
        at = np.repeat(rng.integers(len(labels), size=60), 2)
        low, high = average_precision_interval(
            logits[at], labels[at] > 0, np.repeat(np.arange(60), 2)
        )
        held += low <= truth <= high
    assert held >= 90


@pytest.mark.parametrize("n_groups", [1, 3])
def test_a_perfect_ranking_of_few_groups_is_not_certain(n_groups: int) -> None:
    has = np.array([[True, False], [False, True]] * 6)
    low, high = average_precision_interval(has * 0.9, has, np.arange(12) % n_groups)
    assert low < 0.5 and high == pytest.approx(1)
