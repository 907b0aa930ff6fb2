"""What the networks share: timm's conventions, and the grey value of a picture."""

from typing import Any

import torch
from timm.models import generate_default_cfgs
from torch import nn

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue, as Pillow's mode "L" weighs them


class SequenceNetwork(nn.Module):
    """A timm network: forward_features, forward_head, and a last layer if num_classes is not 0.

    A subclass sets `num_features`, calls `set_head`, and names what comes before its numbered
    `blocks` in `stem`.
    """

    stem = r"^none\."
    num_features: int
    head: nn.Module

    def set_head(self, num_classes: int) -> None:
        """Make the last layer; none for 0 classes."""
        self.num_classes = num_classes
        self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, num_classes), or without a last layer embeddings (B, num_features)."""
        return self.head(self.forward_head(self.forward_features(images), pre_logits=True))

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """What is known of each place or frame of normalised pictures (B, 3, H, W)."""
        raise NotImplementedError

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Embeddings (B, num_features) of forward_features; logits unless `pre_logits`."""
        embeddings = self.embed(features)
        return embeddings if pre_logits else self.head(embeddings)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, num_features) of forward_features."""
        raise NotImplementedError

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Patterns that put parameters into stages, for fine-tuning the last of them."""
        return {"stem": self.stem, "blocks": r"^blocks\.(\d+)"}


def grey(images: torch.Tensor) -> torch.Tensor:
    """Grey values (B, H, W) of pictures (B, 3, H, W): their luminance.

    Of magma, inferno, plasma, viridis, cividis and grey it rises with the palette's index, so it
    tells the level that the colour stands for. A normalisation that is the same for all three
    channels stays one of the grey value.
    """
    weights = torch.tensor(LUMINANCE, dtype=images.dtype, device=images.device)
    return (images * weights.view(1, 3, 1, 1)).sum(dim=1)


def configuration(name: str, width: int, height: int, *, fixed: bool) -> Any:
    """timm's facts of a network without published weights; fixed: it is built for a size."""
    facts = {
        "input_size": (3, height, width),
        "fixed_input_size": fixed,
        "mean": (0.5,) * 3,
        "std": (0.25,) * 3,
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "classifier": "head",
    }
    return generate_default_cfgs({name: facts})
