"""What is said of calibration is rarely said of a model that does not deserve it."""

import numpy as np
import pytest

from train.evaluate.calibration import calibration_by_chance, expected_calibration_error


def answers(
    rng: np.random.Generator, n_groups: int, clips: int, alike: float, sharpness: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(probabilities (n, 4), labels, groups): exactly right at sharpness 1, too sure above it.

    alike: how often a clip shares the luck of its group.
    """
    groups = np.repeat(np.arange(n_groups), clips)
    logits = 1.2 * (
        rng.normal(size=(n_groups, 4))[groups] + 0.7 * rng.normal(size=(len(groups), 4))
    )
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    luck = np.where(
        rng.random(len(groups)) < np.sqrt(alike), rng.random(n_groups)[groups],
        rng.random(len(groups)),
    )  # fmt: skip
    labels = (truth.cumsum(axis=1) < luck[:, None]).sum(axis=1).clip(0, 3)
    said = np.exp(sharpness * logits)
    return said / said.sum(axis=1, keepdims=True), labels, groups


def raised(n_groups: int, clips: int, alike: float, sharpness: float, trials: int = 60) -> float:
    """How often a calibration error is above what chance explains."""
    rng = np.random.default_rng(0)
    n = 0
    for _ in range(trials):
        probabilities, labels, groups = answers(rng, n_groups, clips, alike, sharpness)
        limit = calibration_by_chance(probabilities, labels, groups).limit
        n += expected_calibration_error(probabilities, labels) > limit
    return n / trials


@pytest.mark.parametrize(("n_groups", "clips", "alike"), [(30, 1, 0.0), (40, 3, 0.8)])
def test_a_calibrated_model_is_rarely_blamed(n_groups: int, clips: int, alike: float) -> None:
    """2 of 100 times is meant; 60 trials are within 8 of it."""
    assert raised(n_groups, clips, alike, sharpness=1.0) < 0.1


@pytest.mark.parametrize(("n_groups", "clips", "alike"), [(100, 1, 0.0), (80, 3, 0.8)])
def test_a_model_that_is_far_too_sure_is_told(n_groups: int, clips: int, alike: float) -> None:
    assert raised(n_groups, clips, alike, sharpness=2.5, trials=20) > 0.95
