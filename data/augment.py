"""Random changes to training pictures: what a louder, earlier or shorter recording would look like.

Every change is a function of a batch of pictures and of uniform draws in [0, 1), a row for each
picture, and of nothing else; strength 0 changes nothing.
"""

from dataclasses import dataclass

import numpy as np

N_DRAWS = 20  # of each picture; a multiple of 4, the numbers that Philox makes at a time


@dataclass(frozen=True)
class Augmentation:
    """How far training pictures are changed; strengths are parts of an axis or of the scale."""

    crop_time: float = 1.0
    crop_frequency: float = 1.0


def draws_of(seed: int, first: int, n: int) -> np.ndarray:
    """Uniform draws in [0, 1), float64 (n, N_DRAWS), for places first, first + 1, ... of a pass.

    Those of a place are the same whatever the size of the batches or the number of threads.
    """
    bits = np.random.Philox(key=seed)
    bits.advance(first * (N_DRAWS // 4))
    return np.random.Generator(bits).random((n, N_DRAWS))


def crop_windows(
    draws: np.ndarray, height: int, width: int, *, min_time: float, min_frequency: float
) -> np.ndarray:
    """Windows int (n, 4) in pixels, top, left, height, width, by draws (n, 4).

    A window keeps a uniformly drawn part of the time axis in [min_time, 1] and of the frequency
    axis in [min_frequency, 1]: a shorter excerpt is still the same music, a narrow band is not.
    """
    heights = np.ceil(height * (1 - draws[:, 0] * (1 - min_frequency)))
    widths = np.ceil(width * (1 - draws[:, 1] * (1 - min_time)))
    tops = np.round(draws[:, 2] * (height - heights))
    lefts = np.round(draws[:, 3] * (width - widths))
    return np.stack([tops, lefts, heights, widths], axis=1).astype(int)
