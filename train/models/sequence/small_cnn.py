"""Three convolutions with a large first stride: a student's network for GTZAN's pictures."""

from typing import Any

import torch
from timm.models import build_model_with_cfg, register_model
from torch import nn

from train.models.sequence.base import SequenceNetwork, configuration, grey

default_cfgs = {
    **configuration("small_cnn", 432, 288, fixed=True),
    **configuration("small_cnn_wide", 432, 288, fixed=True),
}


class SmallCnn(SequenceNetwork):
    """7x7 convolution of stride 6, two of 3x3, each with ReLU and 2x2 max pooling; flattened.

    The number of features follows from img_size = (height, width), at least 48 each.
    """

    def __init__(
        self,
        img_size: tuple[int, int] = (288, 432),
        num_classes: int = 0,
        channels: tuple[int, int, int] = (16, 32, 16),
    ) -> None:
        super().__init__()
        if min(img_size) < 48:
            raise AssertionError(f"pictures of {img_size[1]}x{img_size[0]} are under 48x48")
        first, second, third = channels
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(1, first, 7, stride=6, padding=3), nn.ReLU()),
                nn.Sequential(nn.Conv2d(first, second, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(second, third, 3, padding=1), nn.ReLU()),
            ]
        )
        self.pool = nn.MaxPool2d(2)
        height, width = (((side - 1) // 6 + 1) // 8 for side in img_size)
        self.num_features = third * height * width
        self.set_head(num_classes)

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """Features (B, channels, H / 24, W / 24), before the last pooling."""
        features = self.blocks[0](grey(images).unsqueeze(1))
        for block in self.blocks[1:]:
            features = block(self.pool(features))
        return features

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, num_features), one for each channel and place."""
        return self.pool(features).flatten(1)


@register_model
def small_cnn(pretrained: bool = False, **kwargs: Any) -> SmallCnn:
    """Channels 16-32-16; pictures of 432x288 (GTZAN's own), 10,064 parameters.

    Source: music-genre-network-project (D. Brand), Adagrad with rate 0.01; it reports 62.67 % on a
    random 30 % of GTZAN. It does not state the later kernels: those are ours.
    """
    return build_model_with_cfg(
        SmallCnn, "small_cnn", pretrained, kwargs_filter=("in_chans",), **kwargs
    )


@register_model
def small_cnn_wide(pretrained: bool = False, **kwargs: Any) -> SmallCnn:
    """small_cnn with channels 64-128-64, the source's first solution: Adam with rate 0.001.

    150,848 parameters; the source reports 59.67 %.
    """
    return build_model_with_cfg(
        SmallCnn,
        "small_cnn_wide",
        pretrained,
        channels=(64, 128, 64),
        kwargs_filter=("in_chans",),
        **kwargs,
    )
