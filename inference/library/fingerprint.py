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
    """Correlation in [-1, 1] of the changes over time in two fingerprints; 0 where nothing does."""
    moving = []
    for levels in (one, other):
        bands = levels.reshape(BANDS, COLUMNS).astype(np.float64)
        moving.append(bands - bands.mean(axis=1, keepdims=True))
    norm = float(np.linalg.norm(moving[0]) * np.linalg.norm(moving[1]))
    return float((moving[0] * moving[1]).sum()) / norm if norm > 0 else 0.0


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
    a = _changes_at(one, times / one_seconds)
    b = _changes_at(other, (times - shifts[:, None]) / other_seconds)
    norms = np.linalg.norm(a, axis=(0, 2)) * np.linalg.norm(b, axis=(0, 2))
    alike = (a * b).sum(axis=(0, 2)) / np.maximum(norms, 1e-12)
    return float(alike.max())


def _changes_at(levels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """float64 (BANDS, n, m): a fingerprint's changes at shares of its length, (n, m) in [0, 1]."""
    bands = levels.reshape(BANDS, COLUMNS).astype(np.float64)
    places = np.clip(shares * COLUMNS - 0.5, 0, COLUMNS - 1)
    left = np.minimum(places.astype(int), COLUMNS - 2)
    found = bands[:, left] + (bands[:, left + 1] - bands[:, left]) * (places - left)
    changes: np.ndarray = found - found.mean(axis=2, keepdims=True)
    return changes
