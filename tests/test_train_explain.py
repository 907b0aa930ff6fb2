"""Explanations point at what the answer really hangs on."""

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch.nn.functional import cross_entropy

from render.picture import picture
from render.settings import RenderSettings
from train.classifier import Classifier, create_backbone
from train.gradcam import grad_cam

# A fixed reference: with the loudest point as reference, the noise's brightness tells the class.
SETTINGS = RenderSettings(clip_seconds=1.0, ref="100")
TONES = (300, 3000)  # Hz, of class 0 and 1
ROWS = (116, 48)  # of 128, from the top, where librosa.mel_frequencies puts these tones


def tones(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(pictures uint8 (2n, 3, 128, W), labels (2n,)): n of each tone in white noise, rendered."""
    rng = np.random.default_rng(0)
    t = np.arange(SETTINGS.clip_samples) / SETTINGS.sr
    pictures = []
    for label in np.arange(2 * n) % 2:
        frequency = TONES[label] * rng.uniform(0.97, 1.03)
        y = 0.05 * rng.standard_normal(len(t)) + 0.1 * np.sin(2 * np.pi * frequency * t)
        pictures.append(np.asarray(picture(y.astype(np.float32), SETTINGS).convert("RGB")))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), torch.arange(2 * n) % 2


@pytest.fixture(scope="module")
def hearing() -> Classifier:
    """A small network that tells the two tones apart."""
    torch.manual_seed(0)
    images, labels = tones(32)
    model = Classifier(create_backbone("cnn_mel"), 2, dropout=0.0)
    optimizer = torch.optim.Adam(model.parameters(), 0.002)
    for _ in range(10):
        for part in torch.randperm(len(labels)).split(16):
            loss = cross_entropy(model(images[part]), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.inference_mode():
        assert (model(images).argmax(dim=1) == labels).float().mean() > 0.9
    return model


@pytest.mark.parametrize("label", [0, 1])
def test_grad_cam_lights_up_the_band_that_the_class_hangs_on(
    hearing: Classifier, label: int
) -> None:
    images, labels = tones(8)
    heat = grad_cam(hearing, images[labels == label], label)
    assert heat.shape == (8, 128, images.shape[3])
    assert heat.min() >= 0 and torch.allclose(heat.amax(dim=(1, 2)), torch.ones(8))
    by_row = heat.mean(dim=(0, 2))
    inside = by_row[max(0, ROWS[label] - 16) : ROWS[label] + 16].sum() / by_row.sum()
    # 32 of 128 rows, a quarter, would have a quarter of the heat by chance; the last 28 rows less
    assert inside > 0.45
    assert abs(int(by_row.argmax()) - ROWS[label]) <= 16


def test_grad_cam_is_captums() -> None:
    torch.manual_seed(0)
    model = Classifier(create_backbone("test_resnet"), 3, dropout=0.5).eval()
    images = torch.randint(0, 256, (2, 3, 96, 160), dtype=torch.uint8)
    classes = torch.tensor([2, 0])
    oracle = LayerGradCam(model, model.backbone.layer4)
    expected = oracle.attribute(images, classes, relu_attributions=True)
    expected = LayerAttribution.interpolate(expected, (96, 160), "bilinear")[:, 0]
    top = expected.amax(dim=(1, 2), keepdim=True)
    assert (top[:, 0, 0] > 0).tolist() == [
        False,
        True,
    ]  # nothing speaks for a class; something does
    expected = (expected / top).nan_to_num(0.0).detach()
    torch.testing.assert_close(grad_cam(model, images, classes), expected)


def test_grad_cam_works_where_gradients_are_off() -> None:
    model = Classifier(create_backbone("test_efficientnet"), 3, dropout=0.5).eval()
    with torch.inference_mode():
        heat = grad_cam(model, torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8), 1)
    assert heat.shape == (1, 64, 64) and not heat.requires_grad
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("name", ["bilstm", "test_vit"])
def test_a_network_without_feature_maps_is_refused(name: str) -> None:
    model = Classifier(create_backbone(name, (64, 32)), 3, dropout=0.5).eval()
    with pytest.raises(ValueError, match="no feature maps for Grad-CAM"):
        grad_cam(model, torch.zeros(1, 3, 32, 64, dtype=torch.uint8), 0)
