"""Grad-CAM: where a convolutional network sees what speaks for a class."""

import torch
from torch.nn.functional import interpolate

from train.classifier import Classifier


def grad_cam(
    model: Classifier, images: torch.Tensor, class_index: int | torch.Tensor
) -> torch.Tensor:
    """Heat float (B, H, W) in [0, 1] of uint8 pictures (B, 3, H, W); the hottest place is 1.

    class_index: one for all or int (B,). A picture in which nothing speaks for the class is 0
    everywhere. The model must be in evaluation mode. Raises ValueError for networks without feature
    maps, as transformers and LSTMs. Selvaraju et al., "Grad-CAM", ICCV 2017.
    """
    with torch.inference_mode(False), torch.enable_grad():
        heat = _heat(model, images.clone(), class_index)
    heat = interpolate(heat.unsqueeze(1), images.shape[2:], mode="bilinear")[:, 0]
    top = heat.amax(dim=(1, 2), keepdim=True)
    return torch.where(top > 0, heat / top.clamp_min(1e-12), 0.0)


def _heat(model: Classifier, images: torch.Tensor, class_index: int | torch.Tensor) -> torch.Tensor:
    """Heat (B, h, w) at the resolution of the last feature maps."""
    backbone = model.backbone
    with torch.no_grad():
        features = backbone.forward_features((images.float() - model.mean) / model.std)
    if not torch.is_tensor(features) or features.ndim != 4:
        raise ValueError(
            f"{type(backbone).__name__} has no feature maps for Grad-CAM; it needs a convolutional "
            "network"
        )
    features.requires_grad_()
    logits = model.classify(backbone.forward_head(features))
    classes = torch.as_tensor(class_index, device=logits.device).expand(len(logits))
    chosen = logits.gather(1, classes.unsqueeze(1)).sum()
    (gradient,) = torch.autograd.grad(chosen, features)
    if getattr(backbone, "output_fmt", "NCHW") == "NHWC":
        features, gradient = features.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * features).sum(dim=1).relu().detach()
