"""Embeddings of several stages: what the numbers are, and that a row's place in them is known."""

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from scipy.linalg import sqrtm

from tests.helpers import facts_of_pictures
from train.export.onnx import picture_program
from train.loop.head import standardise
from train.models.backbone import create_backbone, default_image_size
from train.models.classifier import Classifier, count_features
from train.models.feature_pooling import (
    MAX_BANDS,
    MAX_CHANNELS,
    MAX_NUMBERS,
    covariances,
    pooled_stages,
    root_of_covariance,
    row_statistics,
    stages_of,
)
from train.models.gradcam import grad_cam

pytestmark = pytest.mark.slow  # whole commands, or as long as these


def test_row_statistics_are_numpys() -> None:
    maps = torch.randn(2, 3, 28, 50)
    got = row_statistics(maps).reshape(2, 6, 14)  # 28 rows in 14 pairs
    rows = maps.numpy().reshape(2, 3, 14, 2, 50)
    expected = np.concatenate([rows.mean(-1).mean(-1), rows.std(-1).mean(-1)], axis=1)
    assert np.allclose(got.numpy(), expected, atol=1e-4)


def test_wide_stages_and_odd_heights_keep_within_the_limit() -> None:
    assert row_statistics(torch.randn(1, 2048, 7, 9)).shape[1] == 2 * 2048
    assert row_statistics(torch.randn(1, 512, 15, 9)).shape[1] <= MAX_NUMBERS
    odd = row_statistics(torch.ones(1, 1, 15, 4)).reshape(2, -1)
    assert torch.allclose(odd[0], torch.ones(()))  # the last, shorter band is averaged, not padded


def test_a_band_of_the_picture_is_a_band_of_the_numbers() -> None:
    """Noise in the upper half must leave the statistics of the lowest rows alone."""
    backbone = timm.create_model("test_efficientnet", num_classes=0).eval()
    [stage] = stages_of(backbone)[:1]  # 4 times smaller: sees little of its surroundings
    quiet = torch.zeros(1, 3, 224, 64)
    loud = quiet.clone()
    loud[:, :, :112] = torch.randn(1, 3, 112, 64)
    with torch.inference_mode():
        maps = [backbone.forward_intermediates(x, indices=[stage])[1][0] for x in (quiet, loud)]
    moved = (row_statistics(maps[0]) - row_statistics(maps[1])).abs().reshape(-1, 14).amax(dim=0)
    assert (moved[:7] > 0.01).all()
    assert torch.equal(moved[9:], torch.zeros(5))


def test_the_root_of_a_covariance_is_scipys() -> None:
    """The iteration has not quite ended for the weakest components, hence the tolerance."""
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(5, 5)) @ rng.normal(size=(5, 4000)) + rng.normal(size=(5, 4000))
    [root] = root_of_covariance(torch.from_numpy(mixed[None].astype(np.float32))).numpy()
    expected = sqrtm(np.cov(mixed))[np.triu_indices(5)]
    assert np.allclose(root, expected, atol=0.02 * np.abs(expected).max())


def test_silence_has_a_finite_embedding_and_gradient() -> None:
    series = torch.zeros(2, 4, 30, requires_grad=True)
    root = root_of_covariance(series)
    root.sum().backward()
    assert torch.isfinite(root).all()
    assert series.grad is not None
    assert torch.isfinite(series.grad).all()


def test_covariances_tell_what_sounds_together_from_what_takes_turns() -> None:
    """Two bands, each on half of the time: the rows by themselves are the same."""
    on = torch.arange(96) // 8 % 2
    together = torch.zeros(1, 3, 56, 96)
    together[:, :, 10], together[:, :, 40] = on, on
    turns = together.clone()
    turns[:, :, 40] = 1 - on
    assert torch.allclose(row_statistics(together), row_statistics(turns), atol=1e-6)
    silent = torch.zeros(1, 2, 14, 24)
    places = list(zip(*np.triu_indices(56), strict=True))
    between = places.index((10, 40))
    values = [covariances(one, silent)[0, between].item() for one in (together, turns)]
    # On half of the time: variance 1/4; of two equal bands the root is 1/4 * sqrt(2) everywhere.
    assert values == pytest.approx([0.25 * 2**0.5, -0.25 * 2**0.5], abs=0.01)


def test_covariances_keep_their_size_and_their_digits() -> None:
    images, maps = torch.randn(2, 3, 225, 40), torch.randn(2, 300, 9, 10)
    triangle = [n * (n + 1) // 2 for n in (math.ceil(225 / 5), MAX_CHANNELS)]
    whole = covariances(images, maps)
    assert math.ceil(225 / 5) <= MAX_BANDS
    assert whole.shape == (2, 2 * triangle[0] + 4 * triangle[1])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(covariances(images, maps), whole)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_convnext", "test_vit"])
def test_the_backbones_own_embedding_is_part_of_it(name: str) -> None:
    backbone = create_backbone(name, (160, 160)).eval()
    images = torch.randn(2, 3, 160, 160)
    with torch.inference_mode():
        usual = backbone(images)
        pooled = pooled_stages(backbone, images, stages_of(backbone))
    assert torch.allclose(pooled[:, -usual.shape[1] :], usual, atol=1e-5)
    assert pooled.shape[1] == count_features(backbone, "stages", (160, 160)) > usual.shape[1]


def test_standardised_embeddings_have_unit_length_and_no_dead_feature_explodes() -> None:
    rng = np.random.default_rng(0)
    embeddings = (rng.normal(5, 3, (9000, 40))).astype(np.float16)
    embeddings[:, 7] = 2.5  # never varies in training
    model = Classifier(create_backbone("test_resnet"), 3, dropout=0.0, n_features=40)
    standardise(model, embeddings, np.arange(8999))
    rows = (torch.from_numpy(embeddings.astype(np.float32)) - model.shift) / model.scale
    assert rows[:-1].mean(dim=0).abs().max() < 1e-3
    assert rows[:-1].square().sum(dim=1).mean().item() == pytest.approx(1, abs=0.05)
    jump = (torch.tensor(3.5) - model.shift[7]) / model.scale[7]  # by 40 % of what it was
    assert jump.abs() < 4.1 / math.sqrt(40)


def test_the_time_axis_is_three_times_as_long_unless_the_network_fixes_it() -> None:
    assert default_image_size(create_backbone("test_efficientnet")) == (480, 160)
    assert default_image_size(create_backbone("test_vit")) == (160, 160)


def test_a_stage_of_many_channels_is_explained_and_exported(tmp_path: Path) -> None:
    """resnet18 has 64 where it is finest: sums of them, also after a look without gradients."""
    torch.manual_seed(0)
    backbone = create_backbone("resnet18")
    n_features = count_features(backbone, "stages", (64, 64))
    model = Classifier(backbone, 2, dropout=0.0, pooling="stages", n_features=n_features).eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        logits = model(images)
    assert grad_cam(model, images, 1).shape == (2, 64, 64)
    onnx.save(picture_program(model, facts_of_pictures(64, 64).image), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    answered, embedded = session.run(["logits", "embeddings"], {"images": images.numpy()})
    assert np.allclose(answered, logits.numpy(), atol=1e-3)
    with torch.inference_mode():
        assert np.allclose(embedded, model.features(images).numpy(), atol=1e-3, rtol=1e-3)


def test_heat_of_a_classifier_of_stages_is_where_the_classes_differ() -> None:
    """Stripes or noise in the upper half, the same noise for all in the lower one."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 3, 112, 96), dtype=np.uint8)
    images[:, :, 56:] = images[0, :, 56:]
    labels = np.arange(24) % 2
    images[labels == 1, :, :56] = np.arange(96, dtype=np.uint8) // 4 % 2 * 255
    torch.manual_seed(0)
    backbone = create_backbone("test_resnet")
    n_features = count_features(backbone, "stages", (96, 112))
    model = Classifier(backbone, 2, dropout=0.0, pooling="stages", n_features=n_features).eval()
    pictures = torch.from_numpy(images)
    with torch.inference_mode():
        embeddings = model.features(pictures).numpy()
    standardise(model, embeddings, np.arange(24))
    rows = ((torch.from_numpy(embeddings) - model.shift) / model.scale).detach()
    between = rows[labels == 1].mean(dim=0) - rows[labels == 0].mean(dim=0)
    model.head.weight.data = torch.stack([-between, between])
    heat = grad_cam(model, pictures[labels == 1], 1)
    assert heat.shape == (12, 112, 96)
    assert heat[:, :56].sum() > 0.8 * heat.sum()
