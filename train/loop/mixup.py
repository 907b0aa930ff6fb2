"""Mixup and cutmix of a batch, on the device, with the probabilities that its labels become."""

from collections.abc import Callable

import torch
from torchvision.transforms import v2

from train.config import TrainConfig


def mixing(
    config: TrainConfig, n_classes: int
) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]] | None:
    """Of float pictures (B, 3, H, W) and labels (B,) mixed ones and float (B, C); None for neither.

    Where both are asked for, each batch is given one of them at random. Sources: Zhang et al.,
    "mixup", ICLR 2018; Yun et al., "CutMix", ICCV 2019; as torchvision does them.
    """
    kinds: list[v2.Transform] = []
    if config.mixup:
        kinds.append(v2.MixUp(alpha=config.mixup, num_classes=n_classes))
    if config.cutmix:
        kinds.append(v2.CutMix(alpha=config.cutmix, num_classes=n_classes))
    return v2.RandomChoice(kinds) if kinds else None
