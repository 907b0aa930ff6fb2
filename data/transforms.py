"""Pictures to the network's input: one resize for all, and random-resized-crop for training."""

import math

import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from data.image import ImageSpec


def whole(picture: torch.Tensor, spec: ImageSpec) -> torch.Tensor:
    """The whole picture, uint8 (3, H, W), at the network's size, uint8 (3, height, width).

    No crop: a centre crop would throw away the beginning and the end of the clip.
    """
    return F.resize(picture, [spec["height"], spec["width"]], antialias=True)


class SpectrogramCrop(v2.RandomResizedCrop):
    """torchvision's random-resized-crop with separate limits for the time and frequency axes.

    A crop keeps a uniformly drawn part of the time axis in [min_time, 1] and of the frequency axis
    in [min_frequency, 1]: a shorter excerpt is still the same music, a narrow band is not.
    """

    def __init__(self, spec: ImageSpec, *, min_time: float, min_frequency: float) -> None:
        super().__init__((spec["height"], spec["width"]), antialias=True)
        self.min_time, self.min_frequency = min_time, min_frequency

    def make_params(self, flat_inputs: list[torch.Tensor]) -> dict[str, int]:
        """The crop window in pixels: top, left, height, width."""
        full_height, full_width = flat_inputs[0].shape[-2:]
        draws = torch.rand(4).tolist()
        height = math.ceil(full_height * (1 - draws[0] * (1 - self.min_frequency)))
        width = math.ceil(full_width * (1 - draws[1] * (1 - self.min_time)))
        top = round(draws[2] * (full_height - height))
        left = round(draws[3] * (full_width - width))
        return {"top": top, "left": left, "height": height, "width": width}
