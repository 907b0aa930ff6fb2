"""Embeddings of pictures from several stages of a backbone: their rows and covariances."""

import contextlib
import functools
import math
from typing import Any

import numpy as np
import torch
from torch.nn.functional import avg_pool1d, avg_pool2d, conv2d

REDUCTIONS = (4, 8, 16)  # stages whose maps are so many times smaller; networks may have their own
MAX_ROWS = 14
MAX_NUMBERS = 4096  # of one stage: more rows of a wide stage bring little and cost memory
MAX_BANDS = 56  # of the picture, whose covariances are measured
MAX_CHANNELS = 40  # likewise of the finest stage
ROOT_STEPS = 5


def stages_of(backbone: Any) -> list[int]:
    """Indices of the backbone's stages that are pooled; empty if it has none that can be."""
    if not hasattr(backbone, "forward_intermediates"):
        return []
    last = {facts["reduction"]: i for i, facts in enumerate(backbone.feature_info)}
    wanted = getattr(backbone, "pooled_reductions", REDUCTIONS)
    return sorted(last[reduction] for reduction in wanted if reduction in last)


def pooled_stages(backbone: Any, images: torch.Tensor, stages: list[int]) -> torch.Tensor:
    """Embeddings float32 (B, F) of normalised pictures (B, 3, H, W), from some stages and the last.

    Pooling only the last stage over the whole picture, as photographs want it, forgets at which
    frequency something was, and sees few of the textures that sounds are. With the statistics of
    the early stages and the covariances beside it, one linear layer is right on 88 instead of 74 of
    100 GTZAN songs, with frozen ImageNet weights (bench/RESULTS.md).
    """
    return pool(backbone, images, *backbone.forward_intermediates(images, indices=stages))


def pool(
    backbone: Any, images: torch.Tensor, final: torch.Tensor, maps: list[torch.Tensor]
) -> torch.Tensor:
    """The embeddings of pictures, a backbone's last maps of them and its stages' (B, C, H, W)."""
    usual = backbone.forward_head(final, pre_logits=True)
    rows = [row_statistics(one) for one in maps]
    return torch.cat([*rows, covariances(images, maps[0]), usual.float()], dim=1)


def row_statistics(maps: torch.Tensor) -> torch.Tensor:
    """Mean and deviation over time of every row of maps (B, C, H, W): float32 (B, 2 * C * rows).

    Neighbouring rows are averaged so that at most `MAX_ROWS` and about `MAX_NUMBERS` are left.
    """
    n_channels, height = maps.shape[1:3]
    rows = min(MAX_ROWS, max(1, MAX_NUMBERS // (2 * n_channels)))
    # Channels last, as the maps lie in memory, and no torch.var: together seven times as fast.
    values = maps.permute(0, 2, 3, 1).float()
    step = math.ceil(height / rows)
    statistics = torch.cat(_moments(values), dim=2).transpose(1, 2)  # (B, 2 * C, H)
    return avg_pool1d(statistics, step, ceil_mode=True).flatten(1)


def _moments(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation over the third dimension."""
    mean = values.mean(dim=2)
    variance = values.square().mean(dim=2) - mean.square()
    return mean, (variance.clamp(min=0) + 1e-6).sqrt()  # its slope at 0 must be finite


def covariances(images: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """Which frequencies sound together, and which textures are seen together: float32 (B, F).

    Roots of the covariances of the picture's bands over time, and of their change from column to
    column; and of the maps' channels over all places, of their change in time, and of their means
    and deviations in each column. Neighbouring rows of the pictures (B, 3, H, W) are averaged to
    `MAX_BANDS` at most; of maps (B, C, h, w) with more channels `MAX_CHANNELS` mixtures are taken.
    """
    with _full_precision(images.device.type):
        step = math.ceil(images.shape[2] / MAX_BANDS)
        grey = images.float().mean(dim=1, keepdim=True)
        bands = avg_pool2d(grey, (step, 1), ceil_mode=True)[:, 0]
        channels = _mixtures(maps.float())
        series = [
            bands,
            bands.diff(dim=2),
            channels.flatten(2),
            channels.diff(dim=3).flatten(2),
            *_moments(channels),
        ]
        return torch.cat([root_of_covariance(one) for one in series], dim=1)


def root_of_covariance(series: torch.Tensor) -> torch.Tensor:
    """The upper triangle of the square root of the covariance of (B, C, n): (B, C * (C + 1) / 2).

    The root makes a few strong components weigh less, as the logarithm does with energies. By
    Newton and Schulz's iteration, which needs products alone (Li et al., "Towards faster training
    of global covariance pooling networks", CVPR 2018).
    """
    n_channels, n = series.shape[1:]
    centred = (series - series.mean(dim=2, keepdim=True)) / n**0.5
    eye = torch.eye(n_channels, device=series.device)
    covariance = centred @ centred.transpose(1, 2) + 1e-6 * eye  # silence has a root as well
    trace = covariance.diagonal(dim1=1, dim2=2).sum(dim=1).view(-1, 1, 1)
    root, inverse = covariance / trace, eye.expand_as(covariance)
    for _ in range(ROOT_STEPS):
        step = 1.5 * eye - 0.5 * inverse @ root
        root, inverse = root @ step, step @ inverse
    row, column = torch.triu_indices(n_channels, n_channels, device=series.device)
    return (root * trace.sqrt()).flatten(1)[:, row * n_channels + column]


def _mixtures(maps: torch.Tensor) -> torch.Tensor:
    """The channels of maps, or `MAX_CHANNELS` sums of them with random signs (Achlioptas, 2003)."""
    n_channels = maps.shape[1]
    if n_channels <= MAX_CHANNELS:
        return maps
    return conv2d(maps, torch.from_numpy(_signs(n_channels)).to(maps.device))


@functools.cache  # of numpy: a tensor that was made in inference mode could not be trained through
def _signs(n_channels: int) -> np.ndarray:
    """Always the same (MAX_CHANNELS, C, 1, 1) signs: numpy keeps the stream of RandomState."""
    signs = np.random.RandomState(0).randint(0, 2, (MAX_CHANNELS, n_channels, 1, 1)) * 2 - 1
    return (signs / n_channels**0.5).astype(np.float32)


def _full_precision(device: str) -> contextlib.AbstractContextManager[Any]:
    """Outside autocast: a covariance in bfloat16 has no digits to take a root of."""
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return contextlib.nullcontext()
