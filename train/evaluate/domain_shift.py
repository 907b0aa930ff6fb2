"""How far pictures are from those that a model knows, and what would bring them nearer."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import interpolate

from train.models.facts import DomainReference

N_FOLDS = 5
LEAST_GAIN = 0.4  # part of the excess distance that a change must take away to be named


def reference_of(
    embeddings: np.ndarray, groups: np.ndarray, colour_map: str | None = None
) -> DomainReference | None:
    """What distances are measured against; None for few groups.

    embeddings float (n, F) of known pictures by the shipped model; groups (n,), whose pictures are
    alike. The usual distances are of a fifth of the groups that mean and spread have not seen.
    """
    names = np.unique(groups)
    if len(names) < 2 * N_FOLDS:
        return None
    order = np.random.default_rng(0).permutation(len(names))
    fold = order[np.searchsorted(names, groups)] % N_FOLDS
    usual, shifts = np.empty(len(embeddings)), []
    for k in range(N_FOLDS):
        mean, scale = _spread(embeddings[fold != k])
        z = (embeddings[fold == k] - mean) / scale
        usual[fold == k] = _rms(z)
        shifts.append(_rms(z.mean(axis=0, keepdims=True))[0])
    mean, scale = _spread(embeddings)
    return DomainReference(
        mean=tuple(float(f"{value:.5g}") for value in mean),
        scale=tuple(float(f"{value:.5g}") for value in scale),
        far=float(np.quantile(usual, 0.95)),
        usual_shift=float(np.mean(shifts)),
        n_groups=len(names) // N_FOLDS,
        colour_map=colour_map,
    )


def _spread(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    variance = embeddings.var(axis=0)
    # Few pictures tell a feature's variance badly: half of it is that of all features.
    return embeddings.mean(axis=0), np.sqrt((variance + variance.mean()) / 2 + 1e-12)


def _rms(values: np.ndarray) -> np.ndarray:
    return np.sqrt((values**2).mean(axis=1))


def distances(embeddings: np.ndarray, reference: DomainReference) -> np.ndarray:
    """Distance float (n,) of each embedding (n, F) from the middle of the known ones."""
    return _rms(reference.standardised(embeddings))


def shift(embeddings: np.ndarray, reference: DomainReference, n_groups: int) -> float:
    """How far the middle of embeddings (n, F) of so many groups is off; 1 is usual among known."""
    off = _rms(reference.standardised(embeddings).mean(axis=0, keepdims=True))[0]
    # The middle of few groups is off by chance: as much as the root of their number tells.
    by_chance = max(1.0, float(np.sqrt(reference.n_groups / n_groups)))
    return float(off / (reference.usual_shift * by_chance))


Change = tuple[str, Callable[[torch.Tensor], torch.Tensor]]


def changes(
    redraw: Callable[[torch.Tensor], torch.Tensor] | None, seconds: float | None = None
) -> list[Change]:
    """(what it would mean, the change) of uint8 pictures (B, 3, H, W), each kept at its size.

    redraw: gives pictures the colours of training; seconds: length of training's clips; None where
    these are not known.
    """
    usual = f"clips of {seconds:g} s" if seconds else "clips of one length"

    def clips(times: float) -> str:
        length = f"about {times * seconds:.0f} s" if seconds else f"about {times:.2g} times as long"
        return f"these look like clips of {length}, the model was trained on {usual}"

    tried: list[Change] = [(clips(n), _first_part(n)) for n in (2, 3, 6)]
    tried += [(clips(1 / n), _side_by_side(n)) for n in (2, 3)]
    tried.append(("pitch runs downwards", lambda images: images.flip(2)))
    tried.append(("dark means loud", lambda images: 255 - images))
    if redraw:
        tried.append(("they are drawn in other colours", redraw))
        tried.append(("dark means loud, in other colours", lambda images: redraw(255 - images)))
    return tried


def _resized(images: torch.Tensor, height: int, width: int) -> torch.Tensor:
    scaled = interpolate(images.float(), (height, width), mode="bilinear", antialias=True)
    return scaled.round().clamp(0, 255).to(torch.uint8)


def _first_part(n: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2:]
        return _resized(images[..., : max(1, width // n)], height, width)

    return change


def _side_by_side(n: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2:]
        part = _resized(images, height, max(1, width // n))
        return _resized(torch.cat([part] * n, dim=3), height, width)

    return change


def likely_cause(
    images: torch.Tensor,
    embed: Callable[[torch.Tensor], np.ndarray],
    reference: DomainReference,
    redraw: Callable[[torch.Tensor], torch.Tensor] | None = None,
    seconds: float | None = None,
) -> tuple[str, float, float] | None:
    """(what is probably the matter, shift of the pictures as they are, and when that is undone).

    images uint8 (B, 3, H, W) at the network's size, of a group each; embed: their embeddings
    (B, F); redraw, seconds: as for `changes`. Every change is tried, and the one that brings the
    pictures nearest is named if it takes away 40 % of what their shift has beyond the usual one;
    else None.
    """
    before = shift(embed(images), reference, len(images))
    after = {
        text: shift(embed(change(images)), reference, len(images))
        for text, change in changes(redraw, seconds)
    }
    best = min(after, key=lambda text: after[text])
    if before - after[best] < LEAST_GAIN * max(before - 1, 0.2):
        return None
    return best, before, after[best]
