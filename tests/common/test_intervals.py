"""common.intervals against closed forms and simulations."""

import numpy as np
import pytest

from common.intervals import group_interval, mean_interval


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


def test_the_interval_of_a_mean_covers_it_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 4)
    trials = [
        mean_interval(rng.normal(size=30)[groups] + rng.normal(size=120), groups)
        for _ in range(1000)
    ]
    assert 0.93 <= np.mean([low <= 0 <= high for low, high in trials]) <= 0.97
