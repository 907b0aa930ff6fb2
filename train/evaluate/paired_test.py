"""Whether of two models one is right more often, on the same examples."""

import numpy as np

from common.intervals import mean_interval

MAX_EXACT = 16  # differing groups up to which every combination of signs is counted
N_DRAWS = 20_000


def paired_test(
    right_a: np.ndarray, right_b: np.ndarray, groups: np.ndarray
) -> tuple[float, tuple[float, float], float]:
    """(accuracy of a minus that of b, its 95 % interval, p) on the same examples.

    right_a, right_b: bool (n,); groups (n,), whose examples stand or fall together. p: how often a
    difference at least as large arises when a and b are exchanged at random in whole groups; with
    one example per group this is McNemar's exact test (Psychometrika 12, 1947). The interval is
    Student's t over groups.
    """
    _, index = np.unique(groups, return_inverse=True)
    gain = right_a.astype(float) - right_b.astype(float)
    gains, difference = np.bincount(index, weights=gain), float(gain.mean())
    if len(gains) < 2:
        return difference, (-1.0, 1.0), 1.0
    low, high = mean_interval(gain, groups)
    return difference, (max(-1.0, low), min(1.0, high)), _exchange_p(gains[gains != 0])


def _exchange_p(gains: np.ndarray) -> float:
    """Share of the ways to give `gains` signs whose sum is at least as far from 0 as their own."""
    n = len(gains)
    if n == 0:
        return 1.0
    least = abs(gains.sum()) - 1e-9
    if n <= MAX_EXACT:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float((np.abs(signs @ gains) >= least).mean())
    draws = np.random.default_rng(0).choice([-1.0, 1.0], size=(N_DRAWS, n))
    return float(((np.abs(draws @ gains) >= least).sum() + 1) / (N_DRAWS + 1))
