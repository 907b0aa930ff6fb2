"""EfficientAT's MobileNets: MobileNetV3-Large at eight widths, trained on AudioSet.

F. Schmid, K. Koutini and G. Widmer, "Efficient large-scale audio tagging via Transformer-to-CNN
knowledge distillation", ICASSP 2023; weights from github.com/fschmid56/EfficientAT (MIT licence).
The architecture is A. Howard et al., "Searching for MobileNetV3", ICCV 2019, of torchvision's
blocks, with one input channel and a sigmoid in squeeze and excitation.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation

from render.presets import AUDIOSET, differences
from render.settings import RenderSettings
from train.models.sequence.base import grey

# Input channels, kernel, expanded channels, output channels, squeeze and excitation, activation
# (ReLU or hard swish) and stride of each block at width 1: the paper's table 1.
BLOCKS = (
    (16, 3, 16, 16, False, "RE", 1),
    (16, 3, 64, 24, False, "RE", 2),
    (24, 3, 72, 24, False, "RE", 1),
    (24, 5, 72, 40, True, "RE", 2),
    (40, 5, 120, 40, True, "RE", 1),
    (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2),
    (80, 3, 200, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 480, 112, True, "HS", 1),
    (112, 3, 672, 112, True, "HS", 1),
    (112, 5, 672, 160, True, "HS", 2),
    (160, 5, 960, 160, True, "HS", 1),
    (160, 5, 960, 160, True, "HS", 1),
)
LAST_CHANNELS = 1280
NAMES = {  # of parts: the authors' and ours
    "conc_se_layers.0.": "", "classifier.2.": "pre_logits.0.", "classifier.5.": "classifier.",
}  # fmt: skip
STAGES = ((1, 2), (3, 4), (6, 8), (12, 16), (15, 32))  # (last block, how much smaller its maps are)
N_AUDIOSET = 527  # classes of the published weights; their last layer stays out

RELEASE = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/"
# name: (width, file of the release)
PUBLISHED = {
    "mn01_as": (0.1, "mn01_as_mAP_298.pt"),
    "mn02_as": (0.2, "mn02_as_mAP_378.pt"),
    "mn04_as": (0.4, "mn04_as_mAP_432.pt"),
    "mn05_as": (0.5, "mn05_as_mAP_443.pt"),
    "mn10_as": (1.0, "mn10_as_mAP_471.pt"),
    "mn20_as": (2.0, "mn20_as_mAP_478.pt"),
    "mn30_as": (3.0, "mn30_as_mAP_482.pt"),
    "mn40_as": (4.0, "mn40_as_mAP_484.pt"),
}
# Of the release's files, where it is known; the others are told by the shapes of their tensors.
SHA256 = dict.fromkeys((file for _, file in PUBLISHED.values()), "") | {
    "mn04_as_mAP_432.pt": "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c"
}
DEFAULT = "mn04_as"


_divisible = InvertedResidualConfig.adjust_channels  # channels of a width, a multiple of 8


class AudioMobileNet(nn.Module):
    """A timm network: forward_features, forward_intermediates, forward_head, and a last layer.

    It reads normalised pictures (B, 3, H, W), the low frequencies at the bottom, and its maps lie
    the same way, though the convolutions inside see the low frequencies first.
    """

    heard = AUDIOSET  # the rendering settings of the pictures that it was trained on
    pooled_reductions = (4, 8, 16, 32)
    shown = "gray"  # the colour map in which it sees pictures: their levels are its one channel

    def __init__(self, width: float, num_classes: int = N_AUDIOSET, drop_rate: float = 0.2) -> None:
        super().__init__()
        blocks = [InvertedResidualConfig(*block, 1, width) for block in BLOCKS]
        norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        ends = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.Hardswish)
        self.num_features = 6 * blocks[-1].out_channels
        self.head_hidden_size = _divisible(LAST_CHANNELS, width)
        self.features = nn.Sequential(
            ends(1, blocks[0].input_channels, kernel_size=3, stride=2),
            *(InvertedResidual(block, norm, SqueezeExcitation) for block in blocks),
            ends(blocks[-1].out_channels, self.num_features, kernel_size=1),
        )
        self.pre_logits = nn.Sequential(
            nn.Linear(self.num_features, self.head_hidden_size), nn.Hardswish()
        )
        self.drop = nn.Dropout(drop_rate)
        self.reset_classifier(num_classes)
        self.feature_info = [
            {
                "num_chs": blocks[last - 1].out_channels,
                "reduction": reduction,
                "module": f"features.{last}",
            }
            for last, reduction in STAGES
        ]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def reset_classifier(self, num_classes: int) -> None:
        """A new last layer; none for 0 classes."""
        self.num_classes = num_classes
        self.classifier = (
            nn.Linear(self.head_hidden_size, num_classes) if num_classes else nn.Identity()
        )

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, num_classes), or without a last layer embeddings (B, head_hidden_size)."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """The last maps (B, num_features, H / 32, W / 32)."""
        return self.features(_heard(images)).flip(2)

    def forward_intermediates(
        self, images: torch.Tensor, indices: list[int]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The last maps, and those after the stages `indices` of `feature_info`."""
        wanted = {STAGES[i][0] for i in indices}
        maps = []
        x = _heard(images)
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in wanted:
                maps.append(x.flip(2))
        return x.flip(2), maps

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Logits of forward_features; with `pre_logits` their mean over places (B, num_features).

        The mean, and not what the hidden layer makes of it: that one serves AudioSet's 527 classes,
        and a new last layer on it was right on 2 points less of our recordings.
        """
        pooled = features.mean(dim=(2, 3))
        if pre_logits:
            return pooled
        return self.classifier(self.drop(self.pre_logits(pooled)))

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns that put parameters into stages, for fine-tuning the last of them."""
        return {
            "stem": r"^features\.0\.",
            "blocks": [(r"^features\.(\d+)", None), (r"^pre_logits", (99999,))],
        }


def _heard(images: torch.Tensor) -> torch.Tensor:
    """Pictures (B, 3, H, W) as the one channel (B, 1, H, W), the low frequencies first."""
    return grey(images).unsqueeze(1).flip(2)


def checkpoint_filter_fn(
    state: dict[str, torch.Tensor], model: nn.Module
) -> dict[str, torch.Tensor]:
    """The published tensors under this module's names; as a linear layer is a 1x1 convolution."""
    own = model.state_dict()
    renamed = {}
    for name, tensor in state.items():
        for theirs, ours in NAMES.items():
            name = name.replace(theirs, ours)
        convolution = name in own and own[name].shape == (*tensor.shape, 1, 1)
        renamed[name] = tensor[..., None, None] if convolution else tensor
    return renamed


def name_of(state: dict[str, torch.Tensor]) -> str | None:
    """Which of the networks such published tensors are of; None if they are of another kind."""
    bias = state.get("classifier.2.bias")
    if bias is None or not any("conc_se_layers.0." in name for name in state):
        return None
    hidden = {_divisible(LAST_CHANNELS, width): name for name, (width, _) in PUBLISHED.items()}
    return hidden.get(len(bias))


def drawn_otherwise(name: str, drawn: RenderSettings | None) -> str | None:
    """Why pictures are not what the network `name` was trained on, and the way out; else None.

    drawn: the settings of their render.json, None where there is none. The length of a clip may
    be another one: the network is convolutional.
    """
    if name not in PUBLISHED:
        return None
    way_out = "draw them with python -m render AUDIO --preset audioset"
    if drawn is None:
        return f"{name} heard other pictures than these, which have no render.json: {way_out}"
    changed = differences(drawn, replace(AUDIOSET, clip_seconds=drawn.clip_seconds))
    if not changed:
        return None
    some = ", ".join(f"{key} {value}" for key, value in list(changed.items())[:3])
    return (
        f"{name} heard other pictures than these ({some}{', ...' * (len(changed) > 3)}): {way_out}"
    )


def size_of(name: str, drawn: RenderSettings | None) -> tuple[int, int] | None:
    """(width, height) of pictures that the network was trained on; None for any others."""
    if name not in PUBLISHED or drawn is None or drawn_otherwise(name, drawn):
        return None
    return drawn.width, drawn.height


def _pixels() -> dict[str, Any]:
    """Normalisation and size of the preset's pictures, as timm tells them.

    A level of 0 to 1 is a number of decibels; the networks were trained on
    (ln(power) + 4.5) / 5, which is (level - mean) / std of these.
    """
    nepers = torch.tensor(10.0).log().item() / 10  # of power, in a decibel
    top, span = nepers * 40.0, nepers * AUDIOSET.top_db
    mean, std = (top - span + 4.5) / -span, 5 / span
    return {
        "input_size": (3, AUDIOSET.height, AUDIOSET.width),
        "mean": (mean,) * 3,
        "std": (std,) * 3,
    }


def _configuration(name: str) -> dict[str, Any]:
    _, file = PUBLISHED[name]
    return {
        "url": RELEASE + file, "num_classes": N_AUDIOSET, "classifier": "classifier",
        "first_conv": "features.0.0", "fixed_input_size": False, "license": "mit",
        "crop_pct": 1.0, "interpolation": "bilinear", "origin_url": RELEASE, **_pixels(),
    }  # fmt: skip


default_cfgs = generate_default_cfgs({name: _configuration(name) for name in PUBLISHED})


def _register(name: str, width: float) -> None:
    def create(pretrained: bool = False, **options: Any) -> AudioMobileNet:
        return build_model_with_cfg(
            AudioMobileNet, name, pretrained, kwargs_filter=("in_chans",), width=width, **options
        )

    create.__name__ = name
    register_model(create)


for _name, (_width, _) in PUBLISHED.items():
    _register(_name, _width)
