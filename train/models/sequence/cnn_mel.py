"""A plain convolutional network on mel spectrograms, for the country of origin of a song."""

from typing import Any

import torch
from timm.models import build_model_with_cfg, register_model
from torch import nn

from train.models.sequence.base import SequenceNetwork, configuration, grey

default_cfgs = configuration("cnn_mel", 1300, 128, fixed=False)
CHANNELS = (32, 64, 128, 256)


class CnnMel(SequenceNetwork):
    """Four blocks of 3x3 convolution, batch normalisation and ReLU; mean; a layer of 128.

    The first three blocks halve both axes; pictures of any size from 8x8.
    """

    num_features = 128

    def __init__(self, num_classes: int = 0) -> None:
        super().__init__()
        ends = (1, *CHANNELS)
        self.blocks = nn.ModuleList(_block(*pair) for pair in zip(ends, CHANNELS, strict=False))
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(CHANNELS[-1], self.num_features)
        self.set_head(num_classes)

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """Features (B, 256, H / 8, W / 8)."""
        features = grey(images).unsqueeze(1)
        for number, block in enumerate(self.blocks):
            features = block(self.pool(features) if number else features)
        return features

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, 128)."""
        return self.fc(features.mean(dim=(2, 3))).relu()


def _block(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()
    )


@register_model
def cnn_mel(pretrained: bool = False, **kwargs: Any) -> CnnMel:
    """Four-block CNN; pictures of 1300x128 (one pixel per frame and mel band).

    421,216 parameters. Source: Music Geographic Classification with Deep Learning (MIRAGE corpus);
    it states about 2,000,000, more than the layers that it lists have.
    """
    return build_model_with_cfg(
        CnnMel, "cnn_mel", pretrained, kwargs_filter=("in_chans",), **kwargs
    )
