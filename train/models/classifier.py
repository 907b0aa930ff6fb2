"""A backbone with dropout and a new last layer, from uint8 pictures to logits."""

from typing import Any

import torch
from timm.models import group_parameters
from torch import nn

from train.models.feature_pooling import pooled_stages, stages_of


class Dropout(nn.Dropout):
    """nn.Dropout whose mask, on a processor, is made of random bytes: 20 times as fast.

    torch's own takes most of the time of a last layer. The probability is rounded to a 256th; what
    is kept is scaled by what it really is, so that the mean stays the same.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)
        self._generator: torch.Generator | None = None

    def set_seed(self, seed: int) -> None:
        """Draw the masks from a seed; on a processor from a generator of the layer's own.

        Layers that are trained side by side would else draw from torch's in any order.
        """
        self._generator = torch.Generator().manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(seed)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape, with about a part `p` of the elements zero while training."""
        if not self.training or self.p == 0 or not x.is_cpu:
            return super().forward(x)
        n_kept = min(max(round(256 * (1 - self.p)), 1), 256)  # of 256 byte values
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64)
        words.random_(-(2**63), None, generator=self._generator)
        keep = words.view(torch.uint8)[: x.numel()].view(x.shape).to(x.dtype)
        return keep.lt_(n_kept).mul_(256 / n_kept).mul(x)


class Head(nn.Module):
    """Logits (B, C) of embeddings (B, F): standardisation, dropout, last layer.

    Embeddings are shifted and scaled, feature by feature, to zero mean, equal variance and unit
    length over the training pictures, so that one learning rate suits every backbone.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, n_features: int, n_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(n_features, n_classes)
        self.register_buffer("shift", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    @property
    def n_features(self) -> int:
        """Length of an embedding."""
        return self.head.in_features

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.head.out_features

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of embeddings (B, F)."""
        return self.head(self.dropout((embeddings - self.shift) / self.scale))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (B, C)."""
        return self.classify(inputs)


class Classifier(Head):
    """Logits (B, C) of uint8 RGB pictures (B, 3, H, W): normalisation, backbone, head.

    The normalisation of the pixels is part of the network, so that nobody can forget it or do
    another.

    pooling: "last", the backbone's own embedding, or "stages", `pooled_stages`; n_features: length
    of the embedding, needed for "stages" only (`count_features`).
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        backbone: Any,
        n_classes: int,
        *,
        dropout: float,
        pooling: str = "last",
        n_features: int | None = None,
    ) -> None:
        if n_features is None:
            n_features = getattr(backbone, "head_hidden_size", None) or backbone.num_features
        super().__init__(n_features, n_classes, dropout=dropout)
        self.keeps_statistics = False
        self.backbone = backbone
        self.pooling = pooling
        self.stages = stages_of(backbone) if pooling == "stages" else []
        for name in ("mean", "std"):
            values = torch.tensor(backbone.pretrained_cfg[name], dtype=torch.float32)
            self.register_buffer(name, 255 * values.view(1, 3, 1, 1), persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of pictures."""
        return self.classify(self.features(inputs))

    def logits_and_embeddings(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, C) and embeddings (B, F) of pictures, in one pass."""
        embeddings = self.features(images)
        return self.classify(embeddings), embeddings

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, F) of pictures."""
        images = images.to(torch.float32, copy=True).sub_(self.mean).div_(self.std)
        if self.stages:
            return pooled_stages(self.backbone, images, self.stages)
        return self.backbone(images)

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


def reset_linear(layer: nn.Linear, seed: int) -> None:
    """Start a layer anew, by the distribution of nn.Linear, from a seed of its own."""
    generator = torch.Generator().manual_seed(seed)
    bound = layer.in_features**-0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            start = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
            parameter.copy_(start)


def new_classifier(
    backbone: Any,
    n_classes: int,
    image_size: tuple[int, int],
    *,
    dropout: float,
    pooling: str,
    with_head_phase: bool,
) -> Classifier:
    """A classifier of the backbone with an untrained last layer, for pictures of (width, height).

    pooling: "stages", "last" or "auto", which is stages where the last layer is trained alone on
    frozen features: random maps have no texture worth measuring, and get no such phase.
    """
    if pooling == "auto":
        pooling = "stages" if with_head_phase and stages_of(backbone) else "last"
    n_features = count_features(backbone, pooling, image_size)
    model = Classifier(backbone, n_classes, dropout=dropout, pooling=pooling, n_features=n_features)
    reset_linear(model.head, seed=0)  # until a fold gives it its own start
    return model.to(memory_format=torch.channels_last)  # what convolutions are fastest with


@torch.inference_mode()
def count_features(backbone: Any, pooling: str, image_size: tuple[int, int]) -> int:
    """Length of the embedding of pictures of image_size = (width, height)."""
    probe = Classifier(backbone, 1, dropout=0.0, pooling=pooling, n_features=1).eval()
    width, height = image_size
    return probe.features(torch.zeros(1, 3, height, width)).shape[1]
