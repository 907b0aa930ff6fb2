"""EfficientAT's networks: what they are, that they hear, and where their weights come from."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch.nn import functional as F

from data.config import DataConfig
from data.image_folder import scan
from render.presets import AUDIOSET
from render.settings import RenderSettings
from render.spectrogram.image import picture
from tests.helpers import ROOT
from train.config import TrainConfig
from train.devices.fabric import make_fabric
from train.models import download
from train.models.audio import mobilenet
from train.models.backbone import create_backbone
from train.models.classifier import Classifier, count_features
from train.models.pretrained import BUNDLED, backbone_with_weights, why_chosen
from train.models.sequence.base import grey
from train.pipeline import prepare_pictures

pytestmark = pytest.mark.slow  # whole commands, or as long as these

WEIGHTS = ROOT.parent / "shared" / "data" / "audio_weights" / "mn04_as_mAP_432.pt"
needs_weights = pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"no {WEIGHTS.name} beside us")
SINE, CHIRP, SILENCE, NOISES = 501, 503, 500, {513, 515, 520, 521}  # of AudioSet's 527 classes


def with_last_layer() -> torch.nn.Module:
    """mn04_as as published, with the last layer for AudioSet's classes."""
    model = timm.create_model("mn04_as")
    state = torch.load(WEIGHTS, weights_only=True)
    model.load_state_dict(mobilenet.checkpoint_filter_fn(state, model), strict=True)
    return model.eval()


def normalised(pixels: np.ndarray) -> torch.Tensor:
    """Grey levels uint8 (H, W) as the classifier gives them to the network: (1, 3, H, W)."""
    facts = timm.get_pretrained_cfg("mn04_as")
    assert facts is not None
    level = torch.from_numpy(pixels.astype(np.float32) / 255)
    return ((level - facts.mean[0]) / facts.std[0]).expand(1, 3, *pixels.shape)


def test_widths_have_the_numbers_of_parameters_that_their_authors_state() -> None:
    """In millions, from the table of github.com/fschmid56/EfficientAT."""
    stated = {"mn04_as": 0.983, "mn05_as": 1.43, "mn10_as": 4.88, "mn20_as": 17.91}
    for name, millions in stated.items():
        model = timm.create_model(name)
        assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=6e-3)
    with torch.device("meta"):
        for name in mobilenet.PUBLISHED.keys() - stated.keys():
            assert timm.create_model(name, num_classes=0).num_features % 48 == 0


def by_the_paper(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Logits (B, 527) of x (B, 1, H, W) by the published tensors and table 1 of MobileNetV3."""
    norm = partial(F.batch_norm, eps=1e-3)

    def layer(x: torch.Tensor, at: str, act: object, **how: int) -> torch.Tensor:
        x = F.conv2d(x, state[f"{at}.0.weight"], **how)  # type: ignore[arg-type]
        names = ("running_mean", "running_var", "weight", "bias")
        x = norm(x, *(state[f"{at}.1.{name}"] for name in names))
        return act(x) if callable(act) else x

    x = layer(x, "features.0", F.hardswish, stride=2, padding=1)
    for number, (_, kernel, _, _, se, kind, stride) in enumerate(mobilenet.BLOCKS, start=1):
        act, at, before = F.relu if kind == "RE" else F.hardswish, f"features.{number}.block", x
        n = 0
        if state[f"{at}.0.0.weight"].shape[2] == 1:
            x, n = layer(x, f"{at}.0", act), 1
        how = {"stride": stride, "padding": kernel // 2, "groups": x.shape[1]}
        x, n = layer(x, f"{at}.{n}", act, **how), n + 1
        if se:
            fc = f"{at}.{n}.conc_se_layers.0.fc"
            scale = F.linear(x.mean(dim=(2, 3)), state[f"{fc}1.weight"], state[f"{fc}1.bias"])
            scale = F.linear(scale.relu(), state[f"{fc}2.weight"], state[f"{fc}2.bias"])
            x, n = x * scale.sigmoid()[:, :, None, None], n + 1
        x = layer(x, f"{at}.{n}", None)
        x = x + before if stride == 1 and x.shape == before.shape else x
    x = layer(x, "features.16", F.hardswish).mean(dim=(2, 3))
    x = F.hardswish(F.linear(x, state["classifier.2.weight"], state["classifier.2.bias"]))
    return F.linear(x, state["classifier.5.weight"], state["classifier.5.bias"])


@needs_weights
def test_the_published_tensors_fit_and_answer_as_the_paper_says() -> None:
    state = torch.load(WEIGHTS, weights_only=True)
    model = with_last_layer()
    assert sum(t.numel() for t in model.state_dict().values()) == 993_485
    pixels = np.random.default_rng(0).integers(0, 256, (128, 500), dtype=np.uint8)
    images = normalised(pixels)
    with torch.inference_mode():
        theirs = by_the_paper(state, images[:, :1].flip(2))  # the low frequencies first
        torch.testing.assert_close(model(images), theirs, atol=1e-4, rtol=1e-4)


@needs_weights
def test_it_hears_noise_tones_and_silence_in_our_pictures() -> None:
    """From samples over our PNG's levels to AudioSet's classes: the whole way is right."""
    t = np.arange(320_000) / 32_000
    sounds = {
        "noise": 0.1 * np.random.default_rng(0).standard_normal(len(t)),
        "sine": 0.3 * np.sin(2 * np.pi * 1000 * t),
        "chirp": 0.3 * np.sin(2 * np.pi * (200 * t + 200 * t**2)),
        "silence": 0 * t,
    }
    model, best = with_last_layer(), {}
    for name, y in sounds.items():
        levels = np.asarray(picture(y.astype(np.float32), AUDIOSET).convert("RGB"))[..., 0]
        with torch.inference_mode():
            best[name] = model(normalised(levels))[0].topk(2).indices.tolist()
    assert set(best["noise"]) <= NOISES
    assert best["sine"][0] == SINE
    assert CHIRP in best["chirp"]
    assert best["silence"][0] == SILENCE


def test_maps_lie_as_the_picture_does() -> None:
    """Sound only in the lowest fifth of the frequencies changes the lower maps the most."""
    torch.manual_seed(0)
    backbone = create_backbone("mn04_as").eval()
    quiet, low = (np.full((128, 300), 80, np.uint8) for _ in range(2))
    low[-24:] = 200
    with torch.inference_mode():
        (_, before), (_, after) = (
            backbone.forward_intermediates(normalised(one), [1]) for one in (quiet, low)
        )
    change = (after[0] - before[0]).abs().mean(dim=(0, 1, 3))
    assert change[len(change) // 2 :].sum() > 5 * change[: len(change) // 2].sum()


def test_it_is_pooled_over_four_stages_and_fine_tunes_by_stages() -> None:
    backbone = create_backbone("mn04_as")
    model = Classifier(
        backbone, 3, dropout=0.0, pooling="stages",
        n_features=count_features(backbone, "stages", (1000, 128)),
    )  # fmt: skip
    assert [backbone.feature_info[i]["reduction"] for i in model.stages] == [4, 8, 16, 32]
    model.unfreeze("last:1")
    trained = {n for n, p in model.backbone.named_parameters() if p.requires_grad}
    last = ("features.16.", "pre_logits.")
    assert trained == {n for n, _ in backbone.named_parameters() if n.startswith(last)}
    images = torch.randint(0, 256, (2, 3, 128, 1000), dtype=torch.uint8)
    assert model.eval()(images).shape == (2, 3)


@pytest.mark.parametrize("colormap", ["gray", "viridis"])
def test_it_is_given_the_levels_of_pictures_in_any_colours(tmp_path: Path, colormap: str) -> None:
    """A level is a number of decibels: the luminance of another map bends that scale."""
    settings = replace(AUDIOSET, clip_seconds=0.5, size="", colormap=colormap)
    levels = {}
    for number, label in enumerate(["a", "a", "a", "b", "b", "b"]):
        y = np.random.default_rng(number).normal(0, 0.1, settings.clip_samples).astype(np.float32)
        y *= np.linspace(0, 1, len(y), dtype=np.float32) ** 4
        file = tmp_path / label / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        drawn = picture(y, settings)
        drawn.save(file)
        levels[f"{label}/{number}.png"] = np.asarray(drawn)
    config = TrainConfig(model="mn01_as", pretrained=False, accelerator="cpu")
    size = f"{settings.width}x{settings.height}"
    options = DataConfig(cache_limit=0, duplicates="ignore", image_size=size, folds=2)
    fabric = make_fabric(config.accelerator, config.precision)
    ready = prepare_pictures(scan(tmp_path, options.group), options, config, fabric).ready
    for position, path in enumerate(ready.examples.paths):
        ((images, _),) = ready.pictures.batches(np.array([position]), batch_size=1)
        seen = grey(images.float())[0].numpy()
        # Colours are looked up by the upper six bits of each channel.
        tolerance = 0 if colormap == "gray" else 2**2
        assert np.abs(seen - levels[str(path)].astype(float)).max() <= tolerance + 1e-3


def test_pictures_drawn_otherwise_are_told_with_the_way_out() -> None:
    name = "mn10_as"
    assert mobilenet.drawn_otherwise(name, AUDIOSET) is None
    assert mobilenet.drawn_otherwise(name, replace(AUDIOSET, clip_seconds=5.0)) is None
    assert mobilenet.drawn_otherwise("resnet50", None) is None
    for drawn in (None, RenderSettings(), replace(AUDIOSET, colormap="magma")):
        said = mobilenet.drawn_otherwise(name, drawn)
        assert said is not None
        assert name in said
        assert "python -m render AUDIO --preset audioset" in said
    assert mobilenet.size_of(name, replace(AUDIOSET, clip_seconds=5.0)) == (500, 128)
    assert mobilenet.size_of(name, RenderSettings()) is None


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a server on this machine publishes as the release of mn01_as."""
    folder = tmp_path / "release"
    folder.mkdir()
    handler = type(
        "Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None}
    )
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(handler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the hub stays away
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    for name in ("mn01_as", "mn04_as"):
        file = mobilenet.PUBLISHED[name][1]
        facts = timm.models._registry._model_pretrained_cfgs[name]
        monkeypatch.setattr(facts, "url", f"http://127.0.0.1:{server.server_address[1]}/{file}")
    yield folder
    server.shutdown()
    server.server_close()


def published(name: str, file: Path) -> dict[str, torch.Tensor]:
    """Random weights of the network, written under the names that the authors gave them."""
    torch.manual_seed(1)
    state = {}
    for key, tensor in timm.create_model(name).state_dict().items():
        named = key.replace("pre_logits.0.", "classifier.2.").replace("fier.w", "fier.5.w")
        named = named.replace("fier.b", "fier.5.b").replace(".fc", ".conc_se_layers.0.fc")
        state[named] = tensor.flatten(1) if ".fc" in key and tensor.ndim == 4 else tensor
    torch.save(state, file)
    return state


def test_weights_come_from_the_release_once_and_then_from_the_cache(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = release / "mn01_as_mAP_298.pt"
    state = published("mn01_as", file)
    config = TrainConfig(model="mn01_as")
    backbone, name, said = backbone_with_weights(config, None)
    assert (name, said) == ("mn01_as", file.name)
    assert torch.equal(backbone.features[0][0].weight, state["features.0.0.weight"])
    file.unlink()
    again, _, _ = backbone_with_weights(config, None)
    assert torch.equal(again.features[3].block[0][0].weight, state["features.3.block.0.0.weight"])


def test_a_release_with_another_checksum_is_refused(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = release / "mn04_as_mAP_432.pt"
    published("mn04_as", file)
    with pytest.raises(ValueError, match="its sha256 is not 899a8c62"):
        backbone_with_weights(TrainConfig(model="mn04_as"), None)
    assert not list(Path(torch.hub.get_dir()).rglob("*.pt"))
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(download.SHA256, file.name, right)
    assert backbone_with_weights(TrainConfig(model="mn04_as"), None)[2] == file.name


def test_weights_at_hand_choose_the_network_for_pictures_that_it_heard(release: Path) -> None:
    config = TrainConfig()
    assert backbone_with_weights(config, None, AUDIOSET)[1] == BUNDLED  # the release has no file
    file = release / "mn04_as_mAP_432.pt"
    cache = Path(torch.hub.get_dir()) / "checkpoints" / file.name
    cache.parent.mkdir(parents=True, exist_ok=True)
    published("mn04_as", cache)
    _, name, said = backbone_with_weights(config, None, AUDIOSET)
    assert (name, said) == ("mn04_as", file.name)
    assert "--preset audioset" in why_chosen(config, name)
    assert backbone_with_weights(config, None, RenderSettings())[1] == BUNDLED
    assert backbone_with_weights(config, None, None)[1] == BUNDLED
    assert backbone_with_weights(TrainConfig(model=BUNDLED), None, AUDIOSET)[1] == BUNDLED


def test_a_file_of_the_authors_tells_its_network(tmp_path: Path) -> None:
    for name in ("mn01_as", "mn05_as"):
        published(name, tmp_path / "w.pt")
        _, found, _ = backbone_with_weights(TrainConfig(weights=str(tmp_path / "w.pt")), None)
        assert found == name


def test_offline_one_line_names_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ValueError, match=r"mn10_as here.*releases.*--weights FILE") as error:
        backbone_with_weights(TrainConfig(model="mn10_as"), None)
    assert "\n" not in str(error.value)


def test_another_default_than_resnet50_says_why() -> None:
    assert "5 s" in why_chosen(TrainConfig(), BUNDLED)
    assert why_chosen(TrainConfig(), "resnet50") == ""
    assert why_chosen(TrainConfig(model=BUNDLED), BUNDLED) == ""
