"""A timm backbone with dropout and a new last layer, from uint8 pictures to logits."""

import difflib
from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import nn

from train.models import audio, sequence  # noqa: F401  importing them registers their networks
from train.models.dropout import Dropout
from train.models.feature_pooling import pooled_stages, stages_of


class Classifier(nn.Module):
    """Logits (B, C) of uint8 RGB pictures (B, 3, H, W): normalise, backbone, dropout, last layer.

    The normalisation of the pixels is part of the network, so that nobody can forget it or do
    another. Embeddings are shifted and scaled, feature by feature, to zero mean, equal variance and
    unit length over the training pictures, so that one learning rate suits every backbone.

    pooling: "last", the backbone's own embedding, or "stages", `pooled_stages`; n_features: length
    of the embedding, needed for "stages" only (`count_features`).
    """

    mean: torch.Tensor
    std: torch.Tensor
    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self,
        backbone: Any,
        n_classes: int,
        *,
        dropout: float,
        pooling: str = "last",
        n_features: int | None = None,
    ) -> None:
        super().__init__()
        self.keeps_statistics = False
        self.backbone = backbone
        self.pooling = pooling
        self.stages = stages_of(backbone) if pooling == "stages" else []
        self.dropout = Dropout(dropout)
        if n_features is None:
            n_features = getattr(backbone, "head_hidden_size", None) or backbone.num_features
        self.head = nn.Linear(n_features, n_classes)
        for name in ("mean", "std"):
            values = torch.tensor(backbone.pretrained_cfg[name], dtype=torch.float32)
            self.register_buffer(name, 255 * values.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    @property
    def n_features(self) -> int:
        """Length of an embedding."""
        return self.head.in_features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, C)."""
        return self.classify(self.features(images))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, F) of pictures."""
        images = images.to(torch.float32, copy=True).sub_(self.mean).div_(self.std)
        if self.stages:
            return pooled_stages(self.backbone, images, self.stages)
        return self.backbone(images)

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of embeddings (B, F)."""
        return self.head(self.dropout((embeddings - self.shift) / self.scale))

    def unfreeze(self, finetune: str) -> None:
        """Make trainable the last layer and "all", "none" or "last:N" stages of the backbone."""
        self.requires_grad_(True)
        if finetune == "all":
            return
        n_stages = 0 if finetune == "none" else int(finetune.removeprefix("last:"))
        stage_of = group_parameters(
            self.backbone, self.backbone.group_matcher(coarse=True), reverse=True
        )
        stages = sorted(set(stage_of.values()))
        trained = set(stages[max(0, len(stages) - n_stages) :])
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(stage_of[name] in trained)

    def train(self, mode: bool = True) -> "Classifier":
        """As nn.Module.train, but with `keeps_statistics` batch normalisation stays as it is.

        The last layer was fitted to embeddings by these statistics: new ones, from a few small
        batches, would undo it before fine-tuning has begun.
        """
        super().train(mode)
        if self.keeps_statistics:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


@torch.inference_mode()
def count_features(backbone: Any, pooling: str, image_size: tuple[int, int]) -> int:
    """Length of the embedding of pictures of image_size = (width, height)."""
    probe = Classifier(backbone, 1, dropout=0.0, pooling=pooling, n_features=1).eval()
    width, height = image_size
    return probe.features(torch.zeros(1, 3, height, width)).shape[1]


def wide(backbone: Any) -> tuple[int, int]:
    """The (width, height) a backbone is given unasked: its own, the time axis three times as long.

    Time resolution is worth more than anything else here (bench/RESULTS.md). Networks that fix
    their input, and those made for pictures that are not square, get their own size.
    """
    _, height, width = backbone.pretrained_cfg["input_size"]
    if backbone.pretrained_cfg.get("fixed_input_size") or width != height:
        return width, height
    return 3 * width, height


def create_backbone(
    name: str, image_size: tuple[int, int] | None = None, *, drop_path: float = 0.0
) -> Any:
    """timm's network `name` without its last layer, with random weights.

    image_size is (width, height); networks that fix their input size are built for it. drop_path:
    how often the last block is left out of training, the earlier ones less often. Raises ValueError
    that suggests near names when timm has no such network, or when it cannot leave out blocks.
    """
    if not timm.is_model(name.split(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ValueError(f"timm has no network named {name}{hint}")
    facts = timm.get_pretrained_cfg(name)
    fixed = facts is not None and facts.fixed_input_size
    size: dict[str, Any] = (
        {"img_size": (image_size[1], image_size[0])} if fixed and image_size else {}
    )
    if drop_path:
        size["drop_path_rate"] = drop_path
    try:
        return timm.create_model(name, num_classes=0, **size)
    except TypeError:
        raise ValueError(f"--drop-path {drop_path}: {name} has no stochastic depth") from None
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"timm cannot build {name}: {error}") from None
