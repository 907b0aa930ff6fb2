"""Bidirectional LSTMs over the columns of a picture, for the country of origin of a song."""

from typing import Any

import torch
from timm.models import build_model_with_cfg, register_model
from torch import nn

from train.models.sequence.base import SequenceNetwork, configuration, grey

default_cfgs = {
    **configuration("bilstm", 600, 13, fixed=True),
    **configuration("attention_bilstm", 600, 13, fixed=True),
}
HIDDEN = 128


class BiLstm(SequenceNetwork):
    """Two layers of bidirectional LSTM(128), their last states, and a layer of 128.

    Each column of the picture is a frame, its rows are the features: the height is fixed by
    img_size = (height, width), the width is not.
    """

    num_features = 128
    stem = r"^lstm\."

    def __init__(self, img_size: tuple[int, int] = (13, 600), num_classes: int = 0) -> None:
        super().__init__()
        self.lstm = nn.LSTM(img_size[0], HIDDEN, 2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * HIDDEN, self.num_features)
        self.set_head(num_classes)

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """States (B, W, 256) of every frame: forward in time, then backward."""
        return self.lstm(grey(images).transpose(1, 2))[0]

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, 128) of where each direction ends: the last frame and the first."""
        ends = torch.cat([features[:, -1, :HIDDEN], features[:, 0, HIDDEN:]], dim=1)
        return self.fc(ends).relu()


class AttentionBiLstm(BiLstm):
    """BiLstm that weighs all frames instead of taking the last states."""

    def __init__(self, img_size: tuple[int, int] = (13, 600), num_classes: int = 0) -> None:
        super().__init__(img_size, num_classes)
        self.score = nn.Sequential(
            nn.Linear(2 * HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1, bias=False)
        )

    def attention(self, images: torch.Tensor) -> torch.Tensor:
        """Weights (B, W) of the frames of normalised pictures; each row sums to 1."""
        return self._weights(self.forward_features(images)).squeeze(2)

    def _weights(self, features: torch.Tensor) -> torch.Tensor:
        return self.score(features).softmax(dim=1)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, 128) of the weighted mean over the frames."""
        return self.fc((features * self._weights(features)).sum(dim=1)).relu()


@register_model
def bilstm(pretrained: bool = False, **kwargs: Any) -> BiLstm:
    """Bidirectional LSTM; pictures of 600x13 (13 MFCC of 600 frames), 574,592 parameters.

    Such pictures: python -m render AUDIO --channels mfcc --n-mfcc 13 --size 600x13. Source: Music
    Geographic Classification with Deep Learning (MIRAGE corpus), dropout 0.3.
    """
    return build_model_with_cfg(BiLstm, "bilstm", pretrained, kwargs_filter=("in_chans",), **kwargs)


@register_model
def attention_bilstm(pretrained: bool = False, **kwargs: Any) -> AttentionBiLstm:
    """bilstm with self-attention over the frames; 600x13 pictures, 607,616 parameters.

    Source: Music Geographic Classification with Deep Learning (MIRAGE corpus), dropout 0.3.
    """
    return build_model_with_cfg(
        AttentionBiLstm, "attention_bilstm", pretrained, kwargs_filter=("in_chans",), **kwargs
    )
