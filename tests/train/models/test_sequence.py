"""The networks of earlier projects: what they are, what they learn, what they look at."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch

from tests.helpers import ROOT, facts_of_pictures
from train.config import TrainConfig
from train.export.onnx import picture_program
from train.loop.optim import make_optimizer
from train.models.backbone import create_backbone
from train.models.classifier import Classifier
from train.models.pretrained import RANDOM, backbone_with_weights
from train.models.sequence.base import grey

pytestmark = pytest.mark.slow  # whole commands, or as long as these

# (parameters without the last layer, features, width, height)
KNOWN = {
    "attention_cnn1d": (165_089, 256, 216, 128),
    "cnn_mel": (421_216, 128, 1300, 128),
    "bilstm": (574_592, 128, 600, 13),
    "attention_bilstm": (607_616, 128, 600, 13),
    "small_cnn": (10_064, 864, 432, 288),
    "small_cnn_wide": (150_848, 3456, 432, 288),
}


@pytest.mark.parametrize("name", KNOWN)
def test_size_and_parameters_are_those_that_the_docstring_states(name: str) -> None:
    parameters, features, width, height = KNOWN[name]
    backbone = timm.create_model(name, num_classes=0)
    assert sum(p.numel() for p in backbone.parameters()) == parameters
    assert backbone.num_features == features
    assert backbone.pretrained_cfg["input_size"] == (3, height, width)
    stated = timm.model_entrypoint(name).__doc__ or ""
    assert f"{parameters:,} parameters" in " ".join(stated.split())


def test_parameters_of_the_lstm_follow_from_its_formula() -> None:
    """4 gates x 128 x (inputs + 128 states + 2 biases) x 2 directions, two layers, and FC 128."""
    layers = 4 * 128 * 2 * ((13 + 128 + 2) + (256 + 128 + 2))
    assert layers + 256 * 128 + 128 == KNOWN["bilstm"][0]


@pytest.mark.parametrize("name", KNOWN)
def test_any_picture_size_any_classes_and_stages(name: str) -> None:
    model = Classifier(create_backbone(name, (120, 64)), 7, dropout=0.3)
    assert model(torch.zeros(2, 3, 64, 120, dtype=torch.uint8)).shape == (2, 7)
    total = sum(p.numel() for p in model.backbone.parameters())
    trainable = []
    for finetune in ("none", "last:1", "last:2", "all"):
        model.unfreeze(finetune)
        trainable.append(sum(p.numel() for p in model.backbone.parameters() if p.requires_grad))
    assert trainable[0] == 0 and trainable[-1] == total
    assert 0 < trainable[1] < trainable[2] <= total


def test_they_start_from_random_weights_without_being_asked() -> None:
    for name in KNOWN:
        _, said, weights = backbone_with_weights(TrainConfig(model=name), None)
        assert (said, weights) == (name, RANDOM)


def test_grey_value_rises_with_the_index_of_the_palette() -> None:
    """Of one step of 256 it may be wrong by a rounded colour, never of two."""
    palettes = json.loads(
        (ROOT / "render" / "spectrogram" / "palettes.json").read_text(encoding="utf-8")
    )
    for name in ("magma", "inferno", "plasma", "viridis", "cividis"):
        colours = np.array(list(bytes.fromhex(palettes[name])), dtype=np.uint8).reshape(256, 3)
        picture = torch.from_numpy(colours).T.reshape(1, 3, 1, 256).float()
        values = grey(picture)[0, 0]
        assert (values[2:] > values[:-2]).all(), name


@pytest.mark.parametrize("name", ["attention_cnn1d", "attention_bilstm"])
def test_attention_is_a_weight_per_frame_that_sums_to_one(name: str) -> None:
    torch.manual_seed(0)
    backbone = create_backbone(name, (96, 32)).eval()
    weights = backbone.attention(torch.rand(3, 3, 32, 96))
    assert weights.shape[0] == 3 and weights.shape[1] in (48, 96)
    assert torch.allclose(weights.sum(dim=1), torch.ones(3))
    assert weights.std() > 0


def _bursts(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noise with a short burst at a random time, high for class 0 and low for class 1.

    (pictures uint8 (n, 3, 32, 64), labels (n,), first column of the burst (n,)).
    """
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (n, 32, 64), dtype=np.uint8)
    labels, starts = rng.integers(0, 2, n), rng.integers(4, 52, n)
    for picture, label, start in zip(pixels, labels, starts, strict=True):
        picture[16 * label + 4 : 16 * label + 12, start : start + 8] += 190
    images = torch.from_numpy(pixels).unsqueeze(1).expand(-1, 3, -1, -1)
    return images, torch.from_numpy(labels), torch.from_numpy(starts)


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "small_cnn_wide"])
def test_each_learns_where_a_burst_is_high_or_low(name: str) -> None:
    torch.manual_seed(0)
    size = (64, 48) if name == "small_cnn" else (64, 32)
    model = Classifier(create_backbone(name, size), 2, dropout=0.0)
    images, labels, _ = _bursts(256, seed=1)
    unseen, truth, where = _bursts(64, seed=2)
    if name == "small_cnn":  # its first stride is too coarse for 32 rows
        images, unseen = (
            torch.nn.functional.interpolate(batch, (48, 64)) for batch in (images, unseen)
        )
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    for _ in range(8):
        for part in torch.randperm(256).split(32):
            loss = torch.nn.functional.cross_entropy(model(images[part]), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.inference_mode():
        assert (model(unseen).argmax(dim=1) == truth).float().mean() > 0.9
        if name == "attention_bilstm":
            weights = model.backbone.attention((unseen.float() - model.mean) / model.std)
            inside = [row[s : s + 12].sum() for row, s in zip(weights, where, strict=True)]
            # 12 of 64 frames would have 0.19 of the weight by chance
            assert torch.stack(inside).mean() > 0.5


@pytest.mark.parametrize("name", ["attention_cnn1d", "attention_bilstm"])
def test_onnx_answers_as_torch_does(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Classifier(create_backbone(name, (64, 16)), 3, dropout=0.5)
    onnx.save(picture_program(model, facts_of_pictures(64, 16).image), tmp_path / "m.onnx")
    images = torch.randint(0, 256, (5, 3, 16, 64), dtype=torch.uint8)
    with torch.inference_mode():
        expected = model.eval()(images).numpy()
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    np.testing.assert_allclose(
        session.run(None, {"images": images.numpy()})[0], expected, atol=1e-5
    )


@pytest.mark.parametrize(
    "name, kind", [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW"), ("adagrad", "Adagrad")]
)
def test_the_optimizer_is_the_one_asked_for(name: str, kind: str) -> None:
    model = torch.nn.Linear(2, 2)
    config = TrainConfig(optimizer=name, weight_decay=0.03)
    optimizer = make_optimizer(model, learning_rate=0.02, config=config)
    assert type(optimizer).__name__ == kind
    assert optimizer.param_groups[0]["lr"] == 0.02
    assert optimizer.param_groups[0]["weight_decay"] == 0.03
    head = make_optimizer(model, learning_rate=0.02, config=config, head_only=True)
    assert type(head) is torch.optim.SGD
    assert head.param_groups[0]["weight_decay"] == config.head_weight_decay == 1e-5
