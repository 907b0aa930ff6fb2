"""Random changes to training pictures: an earlier, shorter, louder or duller recording, or holes.

Every change is a function of pictures and of uniform draws in [0, 1), a row for each picture, and
of nothing else; strength 0 changes nothing. There are no flips: a mirrored spectrogram is music
played backwards, or with its basses on top.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from data.config import AugmentConfig
from data.images.colour_map import BITS, OTHER, colours_of, levels_by_colour
from data.images.drawing import SAME_MAP

N_DRAWS = 16  # of each picture; a multiple of 4, the numbers that Philox makes at a time
N_MASKS = 2  # of each axis, as in SpecAugment's stronger policies


@dataclass(frozen=True)
class ColourScale:
    """The colours of the 256 steps of a colour map, int16 (256, 3), and the steps of all colours.

    steps: uint8 (2 ** 18,), the nearest one by the upper BITS of R, G and B.
    """

    colours: torch.Tensor
    steps: torch.Tensor

    def moved(self, images: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """The pictures uint8 (B, 3, H, W) with what is at step i at step table[b, i], int (B, 256).

        A pixel moves as far as the step that it is nearest to, and keeps its distance from it.
        """
        red, green, blue = (images.flatten(2).int() >> (8 - BITS)).unbind(dim=1)
        step = self.steps.to(images.device)[(red << 2 * BITS) | (green << BITS) | blue]  # (B, H*W)
        colours = self.colours.to(images.device)
        change = (colours[table] - colours).transpose(1, 2)  # (B, 3, 256)
        step = step.long()[:, None].expand(-1, 3, -1)
        moved = images.flatten(2) + change.gather(2, step)
        return moved.clamp(0, 255).to(torch.uint8).view(images.shape)


def common_colour_scale(colour_maps: Sequence[str]) -> ColourScale | None:
    """The scale of pictures drawn with these of matplotlib's colour maps, a name for each picture.

    None for grey ones, and where there is no one map: each channel is a scale of its own then.
    """
    name, n = Counter(colour_maps).most_common(1)[0]
    if name in ("gray", "Greys", OTHER) or n < SAME_MAP * len(colour_maps):
        return None
    colours, steps = colours_of(name).astype(np.int16), levels_by_colour(name)
    return ColourScale(torch.from_numpy(colours), torch.from_numpy(steps))


@dataclass(frozen=True)
class Augmentation:
    """How far training pictures are changed; each strength is a part of an axis or of the dB scale.

    crop_time, crop_frequency: the least part of each axis that a crop keeps; time_roll: the most
    that time is moved, what leaves at one end comes in at the other; time_mask, frequency_mask: the
    longest of two masks; gain: the most that is added or taken away; contrast: the most by which
    the range grows or shrinks; frequency_warp: the most that the middle of the axis is moved.
    scale: the colours of the pictures from silent to loud, None for three grey channels.
    """

    crop_time: float = 1.0
    crop_frequency: float = 1.0
    time_roll: float = 0.0
    time_mask: float = 0.0
    frequency_mask: float = 0.0
    gain: float = 0.0
    contrast: float = 0.0
    frequency_warp: float = 0.0
    scale: ColourScale | None = None


def augmentation_of(config: AugmentConfig, colour_maps: Sequence[str]) -> Augmentation:
    """What config asks for, on pictures drawn with these colour maps, a name for each."""
    scale = common_colour_scale(colour_maps) if config.gain or config.contrast else None
    strengths = {field.name: getattr(config, field.name) for field in fields(AugmentConfig)}
    return Augmentation(**strengths, scale=scale)


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


def changed(images: torch.Tensor, draws: np.ndarray, how: Augmentation) -> torch.Tensor:
    """Pictures uint8 (B, 3, H, W) on any device, changed by draws (B, N_DRAWS); crops not included.

    Warped, rolled, made louder, and masked at last, so that a mask is one colour.
    """
    u = torch.from_numpy(draws).float().to(images.device)
    if how.frequency_warp:
        images = frequency_warped(images, u[:, 4], how.frequency_warp)
    if how.time_roll:
        images = rolled(images, u[:, 5], how.time_roll)
    if how.gain or how.contrast:
        images = amplified(images, u[:, 6], u[:, 7], how.gain, how.contrast, how.scale)
    if how.time_mask:
        images = masked(images, u[:, 8:12], how.time_mask, axis=3)
    if how.frequency_mask:
        images = masked(images, u[:, 12:16], how.frequency_mask, axis=2)
    return images


def rolled(images: torch.Tensor, draws: torch.Tensor, most: float) -> torch.Tensor:
    """Pictures (B, 3, H, W) moved along time by up to `most` of it to either side; draws (B,)."""
    width = images.shape[3]
    shifts = ((2 * draws - 1) * most * width).round().long()  # (B,)
    columns = (torch.arange(width, device=images.device) - shifts[:, None]) % width  # (B, W)
    return images.gather(3, columns[:, None, None].expand(images.shape))


def masked(images: torch.Tensor, draws: torch.Tensor, most: float, *, axis: int) -> torch.Tensor:
    """Pictures (B, 3, H, W) with N_MASKS stripes across `axis` in the picture's mean colour.

    A stripe takes up to `most` of the axis; draws (B, 2 * N_MASKS), widths then places. Mean, as
    0 is in the normalised spectrograms of D. S. Park et al., "SpecAugment", Interspeech 2019.
    """
    size = images.shape[axis]
    widths = (draws[:, :N_MASKS] * most * size).round()  # (B, N_MASKS)
    starts = (draws[:, N_MASKS:] * (size - widths)).round()
    at = torch.arange(size, device=images.device)
    inside = (at >= starts[..., None]) & (at < (starts + widths)[..., None])  # (B, N_MASKS, size)
    hidden = inside.any(dim=1)[:, None, None]  # (B, 1, 1, size)
    if axis == 2:
        hidden = hidden.transpose(2, 3)
    mean = images.float().mean(dim=(2, 3), keepdim=True).round().to(images.dtype)
    return torch.where(hidden, mean, images)


def amplified(
    images: torch.Tensor,
    gain_draws: torch.Tensor,
    contrast_draws: torch.Tensor,
    gain: float,
    contrast: float,
    scale: ColourScale | None,
) -> torch.Tensor:
    """Pictures uint8 (B, 3, H, W) as of a louder or softer, wider or narrower recording.

    Up to `gain` of the dB scale is added or taken away, and the distance from its loud end grows or
    shrinks by up to `contrast`; what leaves the scale stays at its end. Draws are (B,).
    """
    step = torch.arange(256, device=images.device)
    shift = ((2 * gain_draws - 1) * gain * 255)[:, None]
    factor = (1 + (2 * contrast_draws - 1) * contrast)[:, None]
    louder = (255 - (255 - step) * factor + shift).round().clamp(0, 255)  # (B, 256), of each step
    if scale is not None:
        return scale.moved(images, louder.long())
    table = louder.to(torch.uint8)[:, None].expand(-1, images.shape[1], -1)
    return table.gather(2, images.flatten(2).long()).view(images.shape)


def frequency_warped(images: torch.Tensor, draws: torch.Tensor, most: float) -> torch.Tensor:
    """Pictures uint8 (B, 3, H, W) whose frequency axis is stretched on one side of its middle.

    The middle moves by up to `most` of the axis, the ends stay: other singers, other instruments,
    as in N. Jaitly and G. Hinton, "Vocal tract length perturbation", 2013. draws (B,).
    """
    height = images.shape[2]
    rows = torch.linspace(-1, 1, height, device=images.device)
    source = rows + 2 * most * (2 * draws[:, None] - 1) * (1 - rows.abs())  # (B, H), rising
    at = (source + 1) / 2 * (height - 1)
    above = at.floor().clamp(0, max(height - 2, 0))
    part = (at - above)[:, None, :, None]  # (B, 1, H, 1)
    index = above.long()[:, None, :, None].expand(images.shape)
    first = images.gather(2, index).float()
    second = images.gather(2, (index + 1).clamp(max=height - 1)).float()
    return torch.lerp(first, second, part.expand_as(first)).round().to(torch.uint8)
