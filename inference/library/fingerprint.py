"""Whether two files are encodings of one recording: their levels in bands over time."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

BANDS, COLUMNS = 16, 64  # of a fingerprint: frequency and time
COLUMNS_OF_CLIP = 8
MOST_SHIFT, SHIFT_STEP = 2.0, 0.25  # seconds by which one copy may begin later than another


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Grey levels float32 (BANDS, COLUMNS_OF_CLIP) of a picture uint8 (height, width, 3)."""
    small = Image.fromarray(pixels).convert("L")
    small = small.resize((COLUMNS_OF_CLIP, BANDS), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def fingerprint(
    spans: Sequence[tuple[float, float]], thumbnails: Sequence[np.ndarray]
) -> np.ndarray:
    """uint8 (BANDS * COLUMNS,): the levels of a recording in bands, at as many equal times.

    spans: the seconds of its clips; thumbnails: of their pictures.
    """
    steps = (np.arange(COLUMNS_OF_CLIP) + 0.5) / COLUMNS_OF_CLIP
    times = np.concatenate([start + (end - start) * steps for start, end in spans])
    order = np.argsort(times, kind="stable")
    levels = np.concatenate(thumbnails, axis=1)[:, order]
    wanted = (np.arange(COLUMNS) + 0.5) / COLUMNS * spans[-1][1]
    bands = [np.interp(wanted, times[order], band) for band in levels]
    return np.round(np.stack(bands)).astype(np.uint8).ravel()


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation in [-1, 1] of the `_changes` of two fingerprints; 0 where nothing changes."""
    a, b = (_changes(f.reshape(BANDS, COLUMNS).astype(np.float64)) for f in (one, other))
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def likeness_of_cuts(
    one: np.ndarray, other: np.ndarray, one_seconds: float, other_seconds: float
) -> float:
    """The largest `likeness` of what two recordings share, as one begins up to MOST_SHIFT later."""
    shifts = np.arange(-MOST_SHIFT, MOST_SHIFT + SHIFT_STEP / 2, SHIFT_STEP)
    starts = np.maximum(0, shifts)
    shared = np.minimum(one_seconds, other_seconds + shifts) - starts
    shifts, starts, shared = (values[shared > MOST_SHIFT] for values in (shifts, starts, shared))
    if not len(shifts):
        return 0.0
    steps = (np.arange(COLUMNS) + 0.5) / COLUMNS
    times = starts[:, None] + shared[:, None] * steps  # (shifts, COLUMNS)
    a = _changes(_levels_at(one, times / one_seconds))
    b = _changes(_levels_at(other, (times - shifts[:, None]) / other_seconds))
    norms = np.linalg.norm(a, axis=(0, 2)) * np.linalg.norm(b, axis=(0, 2))
    alike = (a * b).sum(axis=(0, 2)) / np.maximum(norms, 1e-12)
    return float(alike.max())


def _changes(levels: np.ndarray) -> np.ndarray:
    """How levels (BANDS, ..., n) change over two steps beside all bands: (BANDS, ..., n - 2).

    A fade or a build-up is much of what changes in slow music, and alike in much of it; all bands
    share it, and it takes longer.
    """
    apart = levels - levels.mean(axis=0)
    changes: np.ndarray = apart[..., 2:] - apart[..., :-2]
    return changes


def _levels_at(levels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """float64 (BANDS, n, m): a fingerprint's levels at shares of its length, (n, m) in [0, 1]."""
    bands = levels.reshape(BANDS, COLUMNS).astype(np.float64)
    places = np.clip(shares * COLUMNS - 0.5, 0, COLUMNS - 1)
    left = np.minimum(places.astype(int), COLUMNS - 2)
    found: np.ndarray = bands[:, left] + (bands[:, left + 1] - bands[:, left]) * (places - left)
    return found
