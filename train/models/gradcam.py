"""Grad-CAM: where a convolutional network sees what speaks for a class."""

import torch
from torch.nn.functional import avg_pool2d, interpolate

from train.models.classifier import Classifier
from train.models.ensemble import Ensemble, members_of
from train.models.feature_pooling import pool, row_statistics

SMOOTH = 7  # places of the finest maps: 0.4 s of 10 at the usual size


def grad_cam(
    model: Classifier | Ensemble, images: torch.Tensor, class_index: int | torch.Tensor
) -> torch.Tensor:
    """Heat float (B, H, W) in [0, 1] of uint8 pictures (B, 3, H, W); the hottest place is 1.

    class_index: one for all or int (B,). A picture in which nothing speaks for the class is 0
    everywhere; an ensemble's heat is the sum of its members'. The model must be in evaluation mode.
    Raises ValueError for networks without feature maps, as transformers and LSTMs. Selvaraju et
    al., "Grad-CAM", ICCV 2017.
    """
    with torch.inference_mode(False), torch.enable_grad():
        seen = images.clone()
        heat = torch.stack([_heat(one, seen, class_index) for one in members_of(model)]).sum(dim=0)
    heat = interpolate(heat.unsqueeze(1), images.shape[2:], mode="bilinear")[:, 0]
    top = heat.amax(dim=(1, 2), keepdim=True)
    return torch.where(top > 0, heat / top.clamp_min(1e-12), 0.0)


def _heat(model: Classifier, images: torch.Tensor, class_index: int | torch.Tensor) -> torch.Tensor:
    """Heat (B, h, w) at the resolution of the finest feature maps that the classifier pools."""
    backbone = model.backbone
    with torch.no_grad():
        images = (images.float() - model.mean) / model.std
        if model.stages:
            final, maps = backbone.forward_intermediates(images, indices=model.stages)
        else:
            final, maps = backbone.forward_features(images), []
    if not torch.is_tensor(final) or (final.ndim != 4 and not maps):
        raise ValueError(
            f"{type(backbone).__name__} has no feature maps for Grad-CAM; it needs a convolutional "
            "network"
        )
    for one in (images, final, *maps):
        one.requires_grad_()
    embeddings = pool(backbone, images, final, maps) if maps else backbone.forward_head(final)
    logits = model.classify(embeddings)
    classes = torch.as_tensor(class_index, device=logits.device).expand(len(logits))
    chosen = logits.gather(1, classes.unsqueeze(1)).sum()
    if maps:
        pooled = [images, *maps]
        levels = [images.detach().mean(dim=3, keepdim=True), *_usual(model, maps)]
        return _shares(pooled, torch.autograd.grad(chosen, pooled), levels, maps[0].shape[2:])
    (gradient,) = torch.autograd.grad(chosen, final)
    if getattr(backbone, "output_fmt", "NCHW") == "NHWC":
        final, gradient = final.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * final).sum(dim=1).relu().detach()


def _shares(
    maps: list[torch.Tensor],
    gradients: tuple[torch.Tensor, ...],
    usual: list[torch.Tensor],
    size: torch.Size,
) -> torch.Tensor:
    """Heat (B, h, w) of the pictures and several stages: what each place adds to the logit, in sum.

    Every row of a map has its own weights here, so the gradient is not averaged over places
    (HiResCAM, Draelos and Carin, 2020), and a place counts by how it differs from the usual: of a
    picture that is the mean of its row, from which covariances are measured.
    """
    heat = torch.zeros(len(maps[0]), 1, *size, device=maps[0].device)
    for one, gradient, level in zip(maps, gradients, usual, strict=True):
        share = (gradient * (one - level)).sum(dim=1, keepdim=True).detach().float()
        places = share.shape[2] * share.shape[3] / (size[0] * size[1])  # fewer on a coarse map
        mode = "bilinear" if places < 1 else "area"
        heat += interpolate(share, size, mode=mode) * places
    # What adds to the logit beside what takes away from it is one thing to a reader.
    return avg_pool2d(heat, SMOOTH, 1, SMOOTH // 2, count_include_pad=False)[:, 0].relu()


def _usual(model: Classifier, maps: list[torch.Tensor]) -> list[torch.Tensor]:
    """The mean of every channel and row (C, h, 1) in training, for each stage."""
    start, levels = 0, []
    for one in maps:
        n_channels, height = one.shape[1:3]
        n_rows = row_statistics(one[:1]).shape[1] // (2 * n_channels)
        rows = model.shift[start : start + n_channels * n_rows].view(n_channels, n_rows)
        levels.append(interpolate(rows.unsqueeze(0), height, mode="nearest")[0].unsqueeze(2))
        start += 2 * n_channels * n_rows
    return levels
