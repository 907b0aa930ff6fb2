"""bench.warnings: simulated models are what they are said to be, and the worst is told."""

import numpy as np
import pytest

from bench import warnings


def test_models_are_what_they_are_said_to_be() -> None:
    rng = np.random.default_rng(0)
    scores = warnings.answered(rng, 4000, 0.7)
    assert scores.accuracy == pytest.approx(0.7, abs=0.03)
    right = warnings.songs(rng, 4000, 1, 1.0)
    wrong = warnings.songs(rng, 4000, 1, warnings.OVERCONFIDENT)
    assert right.expected_calibration_error < 0.03
    assert wrong.expected_calibration_error > 0.15
    assert right.accuracy == pytest.approx(wrong.accuracy, abs=0.04)


@pytest.mark.parametrize("name", ["probabilities are off, 400 songs x 1 clips",
                                  "test and folds differ, 200 tested songs",
                                  "no better than one answer, 100 songs",
                                  "pictures of another kind, 50 songs"])  # fmt: skip
def test_the_clear_case_is_told(name: str) -> None:
    raised = warnings.WARNINGS[name]
    told = [raised(np.random.default_rng(seed), True) for seed in range(5)]
    silent = [raised(np.random.default_rng(seed), False) for seed in range(5)]
    assert sum(told) == 5
    assert sum(silent) <= 1
