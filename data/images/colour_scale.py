"""The colours of a picture as steps of one scale, from silent to loud."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree

BITS = 5  # of each channel by which a colour is looked up: 32,768 colours
SAME_MAP = 0.9  # part of the pictures that must be drawn with one map


@dataclass(frozen=True)
class ColourScale:
    """The colours of the 256 steps of a colour map, int16 (256, 3), and the steps of all colours.

    steps: uint8 (32768,), the nearest one by the upper five bits of R, G and B.
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
    if name in ("gray", "Greys", "other") or n < SAME_MAP * len(colour_maps):
        return None
    from matplotlib import colormaps

    colours = (255 * colormaps[name](np.arange(256))[:, :3]).round()
    side = np.arange(2**BITS) * 2 ** (8 - BITS) + 2 ** (7 - BITS)  # the middle of each part
    cube = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    steps = cKDTree(colours).query(cube)[1]
    return ColourScale(torch.from_numpy(colours).short(), torch.from_numpy(steps.astype(np.uint8)))
