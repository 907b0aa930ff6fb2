"""Embeddings of pictures from several stages of a backbone, row by row."""

import math
from typing import Any

import torch
from torch.nn.functional import avg_pool1d

REDUCTIONS = (4, 8, 16)  # stages whose maps are this many times smaller than the picture
MAX_ROWS = 14
MAX_NUMBERS = 4096  # of one stage: more rows of a wide stage bring little and cost memory


def stages_of(backbone: Any) -> list[int]:
    """Indices of the backbone's stages that are pooled; empty if it has none that can be."""
    if not hasattr(backbone, "forward_intermediates"):
        return []
    last = {facts["reduction"]: i for i, facts in enumerate(backbone.feature_info)}
    return sorted(last[reduction] for reduction in REDUCTIONS if reduction in last)


def pooled_stages(backbone: Any, images: torch.Tensor, stages: list[int]) -> torch.Tensor:
    """Embeddings float32 (B, F): statistics of the rows of some stages, and the usual embedding.

    Pooling only the last stage over the whole picture, as photographs want it, forgets at which
    frequency something was, and sees few of the textures that sounds are. With the statistics of
    the early stages beside it, one linear layer is right on 86 instead of 76 of 100 GTZAN songs,
    with frozen ImageNet weights (bench/RESULTS.md).
    """
    return pool(backbone, *backbone.forward_intermediates(images, indices=stages))


def pool(backbone: Any, final: torch.Tensor, maps: list[torch.Tensor]) -> torch.Tensor:
    """The embeddings of a backbone's last maps and of its stages' maps (B, C, H, W)."""
    usual = backbone.forward_head(final, pre_logits=True)
    return torch.cat([*(row_statistics(one) for one in maps), usual.float()], dim=1)


def row_statistics(maps: torch.Tensor) -> torch.Tensor:
    """Mean and deviation over time of every row of maps (B, C, H, W): float32 (B, 2 * C * rows).

    Neighbouring rows are averaged so that at most `MAX_ROWS` and about `MAX_NUMBERS` are left.
    """
    n_channels, height = maps.shape[1:3]
    rows = min(MAX_ROWS, max(1, MAX_NUMBERS // (2 * n_channels)))
    # Channels last, as the maps lie in memory, and no torch.var: together seven times as fast.
    values = maps.permute(0, 2, 3, 1).float()
    mean = values.mean(dim=2)
    variance = values.square().mean(dim=2) - mean.square()
    deviation = (variance.clamp(min=0) + 1e-6).sqrt()  # its slope at 0 must be finite
    step = math.ceil(height / rows)
    statistics = torch.cat([mean, deviation], dim=2).transpose(1, 2)  # (B, 2 * C, H)
    return avg_pool1d(statistics, step, ceil_mode=True).flatten(1)
