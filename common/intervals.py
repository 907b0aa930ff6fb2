"""95 % intervals of shares and means, of independent examples and of examples alike in groups."""

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

Z_95 = 1.959964  # standard deviations to either side of a normal mean


def wilson_interval(share: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """(low, high) of a share of n independent examples (E. B. Wilson, JASA 22, 1927)."""
    middle = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return float((middle - half) / scale), float((middle + half) / scale)


def group_interval(
    right: np.ndarray, groups: np.ndarray, level: float = 0.95
) -> tuple[float, float]:
    """(low, high) of the mean of `right`, bool (n,), whose examples may be alike within groups.

    The narrower of two of Wilson's intervals. Either there are as many independent examples as
    would vary as the groups do, with Student's t for how well so few groups tell that (Korn and
    Graubard, Survey Methodology 24, 1998); or, at worst, no more than there are groups (Kish).
    Drawing groups again (bootstrap) holds the truth 52 to 93 times in 100 for 10 groups.
    """
    n, share, sizes = len(right), float(right.mean()), np.unique(groups, return_counts=True)[1]
    tail = (1 + level) / 2
    worst = wilson_interval(share, n**2 / np.sum(sizes**2), float(norm.ppf(tail)))
    variance = _variance_of_mean(right, groups) if len(sizes) > 1 else 0.0
    if variance == 0:  # one group, or all are equal: nothing tells how groups vary
        return worst
    alike = min(share * (1 - share) / variance, n)
    own = wilson_interval(share, alike, float(student_t.ppf(tail, len(sizes) - 1)))
    return min(own, worst, key=lambda ends: ends[1] - ends[0])


def mean_interval(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """95 % t-interval (low, high) of the mean of values (n,) that may be alike within groups (n,).

    Two groups at least.
    """
    mean, n_groups = float(values.mean()), len(np.unique(groups))
    reach = float(student_t.ppf(0.975, n_groups - 1) * np.sqrt(_variance_of_mean(values, groups)))
    return mean - reach, mean + reach


def _variance_of_mean(values: np.ndarray, groups: np.ndarray) -> float:
    """Variance of the mean of values (n,), of which whole groups (n,) were drawn; two at least."""
    _, index = np.unique(groups, return_inverse=True)
    off = np.bincount(index, weights=values - values.mean())  # (G,), sums to 0
    return float(len(off) / (len(off) - 1) * np.sum(off**2) / len(values) ** 2)
