"""What the training pictures look like, so that a picture of another kind can be told from them.

A network names a class for a photograph, for silence and for noise alike, often with confidence.
Thirteen cheap measures of a picture tell most of these apart; they need numpy and Pillow only,
because prediction without torch takes them too.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from train.models.facts import Novelty, NoveltyCheck

CHECKS = {"colours": slice(0, 9), "structure": slice(9, 13)}
FLOORS = {"colours": 1.0, "structure": 0.05}  # one grey level; five per cent: less is no difference
SHRINKAGE = 0.1  # of the correlations towards zero: keeps their inverse tame for few pictures
QUANTILE, MARGIN = 0.99, 1.1  # the limit lies this much above what held-out pictures reach
MIN_PICTURES, N_FOLDS = 40, 5
BLANK = 4  # levels, of 255, that every colour of a picture differs by if nothing is on it


def measure(pixels: np.ndarray) -> np.ndarray:
    """float32 (13,): the measures of a whole picture, uint8 (H, W, 3), at the network's size.

    Nine of its colours: mean and deviation of red, green and blue, and how far they are apart.
    Four logarithms of its structure, each for the upper and the lower half: ridges, that is how far
    the mean of a row is from those of its neighbours, and slow change, that is the deviation of
    bands over 32 stretches of time. Noise has neither; tones, beats and voices have both.
    """
    # (3, n): numpy averages along rows in memory in a tenth of the time
    colours = np.ascontiguousarray(pixels[::4, ::4].reshape(-1, 3).T, dtype=np.float32)
    red, green, blue = colours
    apart = [np.abs(a - b).mean() for a, b in ((red, green), (green, blue), (red, blue))]
    grey = Image.fromarray(pixels).convert("L")
    bands = np.asarray(grey.resize((32, 12), Image.Resampling.BOX), dtype=np.float32)
    rows = np.asarray(grey).mean(axis=1)
    reach = max(1, len(rows) // 32)
    window = np.full(2 * reach + 1, 1 / (2 * reach + 1))
    ridges = np.abs(rows - np.convolve(np.pad(rows, reach, mode="edge"), window, "valid"))
    halves = [
        half.mean() for part in (ridges, bands.std(axis=1)) for half in np.array_split(part, 2)
    ]
    structure = np.log(0.1 + np.array(halves))
    return np.concatenate([colours.mean(1), colours.std(1), apart, structure]).astype(np.float32)


def describe_batches(batches: Iterable[Any], groups: np.ndarray) -> Novelty | None:
    """`describe` of whole pictures that come as (uint8 tensor (B, 3, H, W), labels) in batches."""
    pictures = (image for images, _ in batches for image in images.permute(0, 2, 3, 1).numpy())
    return describe(np.stack([measure(picture) for picture in pictures]), groups)


def describe(measures: np.ndarray, groups: np.ndarray) -> Novelty | None:
    """What the training pictures look like, or None for fewer than 40 of them.

    measures: (n, 13) of the training pictures; groups: (n,), whose pictures are alike. The limit of
    each check is set on groups that its mean and spread have not seen.
    """
    names = np.unique(groups)
    if len(measures) < MIN_PICTURES or len(names) < N_FOLDS:
        return None
    order = np.random.default_rng(0).permutation(len(names))
    fold = order[np.searchsorted(names, groups)] % N_FOLDS
    checks = {}
    for name, columns in CHECKS.items():
        values = measures[:, columns].astype(np.float64)
        held_out = np.empty(len(values))
        for k in range(N_FOLDS):
            held_out[fold == k] = _distances(values[fold == k], _fit(values[fold != k], name))
        limit = float(np.quantile(held_out, QUANTILE)) * MARGIN
        checks[name] = replace(_fit(values, name), limit=limit)
    return Novelty(**checks)


def why_unfamiliar(pixels: np.ndarray, known: Novelty | None) -> str | None:
    """Why a picture, as for `measure`, is unlike the training pictures; None if it is like them.

    known: what `describe` returned; without it, only a blank picture is recognised.
    """
    if _is_blank(pixels[::16, ::16]) and _is_blank(pixels):  # few pixels tell most that are not
        return "it is blank: one colour from edge to edge, as silence is"
    if known is None:
        return None
    values = measure(pixels).astype(np.float64)
    if _too_far(values[CHECKS["colours"]], known.colours):
        return "its colours are not those of the training pictures"
    if _too_far(values[CHECKS["structure"]], known.structure):
        below = values[CHECKS["structure"]] < np.array(known.structure.mean)
        if below.all():
            return "it is even from edge to edge, as noise is, unlike the training pictures"
        return "its lines and changes are not those of the training pictures"
    return None


def _is_blank(pixels: np.ndarray) -> bool:
    extrema: Any = Image.fromarray(pixels).getextrema()  # numpy takes many times as long
    return all(high - low <= BLANK for low, high in extrema)


def _too_far(values: np.ndarray, check: NoveltyCheck) -> bool:
    return float(_distances(values[None], check)[0]) > check.limit


def _fit(values: np.ndarray, name: str) -> NoveltyCheck:
    """Mean, scale (k,) and inverse of the shrunk correlations (k, k) of values (n, k); no limit."""
    scale = np.sqrt(values.var(axis=0) + FLOORS[name] ** 2)
    z = (values - values.mean(axis=0)) / scale
    n_measures = values.shape[1]
    correlation = (1 - SHRINKAGE) * (z.T @ z) / len(z) + SHRINKAGE * np.eye(n_measures)
    inverse = tuple(map(tuple, np.linalg.inv(correlation).tolist()))
    return NoveltyCheck(
        tuple(values.mean(axis=0).tolist()), tuple(scale.tolist()), inverse, limit=0.0
    )


def _distances(values: np.ndarray, check: NoveltyCheck) -> np.ndarray:
    """Mahalanobis distance of each row of values (n, k), per measure: about 1 is usual."""
    z = (values - np.array(check.mean)) / np.array(check.scale)
    squared = np.einsum("ij,jk,ik->i", z, np.array(check.inverse), z)
    return np.sqrt(np.maximum(squared, 0) / z.shape[1])
