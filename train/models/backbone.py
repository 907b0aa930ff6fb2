"""timm's networks without their last layer, and the size of picture that each is given."""

import difflib
from typing import Any

import timm

from train.models import audio, sequence  # noqa: F401  importing them registers their networks


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
    known = timm.get_pretrained_cfg(name)
    options: dict[str, Any] = {}
    if known is not None and known.fixed_input_size and image_size:
        options["img_size"] = (image_size[1], image_size[0])
    if drop_path:
        options["drop_path_rate"] = drop_path
    try:
        return timm.create_model(name, num_classes=0, **options)
    except TypeError:
        raise ValueError(f"--drop-path {drop_path}: {name} has no stochastic depth") from None
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"timm cannot build {name}: {error}") from None


def default_image_size(backbone: Any) -> tuple[int, int]:
    """The (width, height) of pictures for a backbone: its own, the time axis three times as long.

    Time resolution is worth more than anything else here (bench/RESULTS.md). Networks that fix
    their input, and those made for pictures that are not square, get their own size.
    """
    _, height, width = backbone.pretrained_cfg["input_size"]
    if backbone.pretrained_cfg.get("fixed_input_size") or width != height:
        return width, height
    return 3 * width, height
