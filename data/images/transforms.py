"""Batches at the network's size with torch; `read.whole_picture` is the same without it."""

import torch
from torchvision.transforms.v2 import functional as F

from data.images.read import ImageSpec


def whole(picture: torch.Tensor, spec: ImageSpec) -> torch.Tensor:
    """The whole picture, uint8 (3, H, W), at the network's size, uint8 (3, height, width).

    No crop: a centre crop would throw away the beginning and the end of the clip.
    """
    return F.resize(picture, [spec.height, spec.width], antialias=True)
