"""Explanations point at what the answer really hangs on."""

import json
import re
import subprocess
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from PIL import Image
from torch.nn.functional import cross_entropy

from inference.explain.gradcam_figure import PictureAxes, axes_of, draw
from render.settings import RenderSettings
from render.spectrogram.image import picture
from tests.helpers import Run, run_module
from train.models.backbone import create_backbone
from train.models.classifier import Classifier
from train.models.gradcam import grad_cam
from train.report.projection import project
from train.tabular.baselines import Baseline, fit_baselines
from train.tabular.shap_summary import draw_summary, shap_values

pytestmark = pytest.mark.slow  # whole commands, or as long as these

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


def explain(*args: object) -> subprocess.CompletedProcess[str]:
    """`python -m inference.explain` as a person runs it."""
    return run_module("inference.explain", *args)


def test_a_picture_is_drawn_with_its_heat(trained: Run, stripes: Path, tmp_path: Path) -> None:
    pictures = [stripes / "low" / "low0__0.png", stripes / "high" / "high0__0.png"]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    model = trained.folder / "model.pth"
    done = explain(model, *pictures, tmp_path / "broken.png", "--out", tmp_path / "out")
    assert done.returncode == 3, done.stderr
    assert "broken.png: not a picture" in done.stderr
    files = [tmp_path / "out" / f"{picture.stem}.png" for picture in pictures]
    page = tmp_path / "out" / "explanation.html"
    assert done.stdout.splitlines() == [str(file) for file in [*files, page]]
    shown = page.read_text(encoding="utf-8")
    assert shown.count("data:image/webp;base64,") == 2 and "http" not in shown
    assert all(f">{picture.name}</a>" in shown for picture in pictures)
    for file in files:
        with Image.open(file) as image:
            assert image.width > 600 and image.height > 400


def test_a_class_that_the_model_does_not_know_is_named(trained: Run, stripes: Path) -> None:
    picture = stripes / "low" / "low0__0.png"
    done = explain(trained.folder / "model.pth", picture, "--label", "polka")
    assert done.returncode == 1
    assert done.stderr == "error: --label polka: the model knows high, low, middle\n"


def test_the_map_of_a_folder_keeps_classes_apart(
    trained: Run, stripes: Path, tmp_path: Path
) -> None:
    done = explain(trained.folder / "model.pth", stripes, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "map_tsne.html").read_text(encoding="utf-8")
    assert "https://" not in page and page.count("http://") == 1  # the name space of SVG
    points = json.loads(re.search(r"const points = (\[.*?\]), shades", page)[1])
    assert len(points) == 48
    assert {p["path"] for p in points} == {str(f) for f in stripes.rglob("*.png")}
    assert all(p["picture"].startswith("data:image/jpeg;base64,") for p in points)
    assert all(Path(p["path"]).parent.name == p["label"] for p in points)
    places = np.array([(p["x"], p["y"]) for p in points])
    assert places.min() == 0 and places.max() == 1
    # How far apart a network this small holds the classes depends on the processor's rounding; that
    # the map keeps classes apart which are apart is tested beside `project`.
    labels = np.array([p["label"] for p in points])
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag([np.inf] * 48)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.9
    assert (tmp_path / "map_tsne.png").read_bytes().startswith(b"\x89PNG")


def test_the_axes_are_those_of_the_rendering() -> None:
    settings = RenderSettings(clip_seconds=5.0, fmin=0.0, fmax=8000.0, size="64x64")
    axes = axes_of(settings)
    edges = librosa.mel_frequencies(n_mels=130, fmin=0, fmax=8000)[1:-1]
    for place, label in axes.ticks:
        # the centre of the band at this place of 128 is within a band of the frequency
        assert abs(np.argmin(abs(edges - float(label))) + 0.5 - place * 128) <= 1
    assert [label for _, label in axes.ticks][-1] == "4000"
    assert axes.seconds == pytest.approx(5.0, abs=0.05) and axes.vertical == "Hz"
    assert axes_of(None).seconds is None


def test_a_map_needs_some_pictures_and_umap_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="a map of 4 pictures: at least 5"):
        project(np.eye(4), "tsne")
    monkeypatch.setattr("train.report.projection.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install umap-learn"):
        project(np.eye(9), "umap")


def test_attention_is_drawn_over_time() -> None:
    """The bars are the weights times their number, in the seconds of the picture."""
    weights = np.array([0.1, 0.1, 0.6, 0.2])
    pixels = np.zeros((8, 16, 3), dtype=np.uint8)
    axes = draw(pixels, PictureAxes(2.0), "x", attention=weights).axes
    bars = axes[-1].collections[0].get_paths()[0].vertices
    assert bars[:, 1].max() == pytest.approx(2.4)
    assert axes[-1].get_xlim() == (0, 2) and axes[-1].get_xlabel() == "Time (s)"


def test_shap_names_the_column_that_the_class_hangs_on_and_adds_up() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(120, 4)).astype(np.float32)
    labels = (values[:, 2] > 0).astype(np.int64)
    (fold,) = fit_baselines(
        "logistic", values, labels, [(np.arange(80), np.arange(80, 120))], refit=False, seed=0
    )
    model = Baseline()
    model.load_state_dict(fold.best_weights)
    found = shap_values(model, 1.0, values)
    weight = np.abs(found).mean(axis=(0, 2))
    assert weight[2] > 5 * np.delete(weight, 2).max()
    # what the columns add for one row is its probability less the mean over the background
    order = np.random.default_rng(0).permutation(120)
    answers = np.exp(model(torch.from_numpy(values[order])).numpy())
    expected = answers - answers[:50].mean(axis=0)
    np.testing.assert_allclose(found.sum(axis=1), expected, atol=1e-4)


def test_the_columns_of_a_table_model_are_drawn_the_heaviest_on_top() -> None:
    found = np.zeros((5, 3, 2))
    found[:, 1], found[:, 2] = 0.3, -0.1
    axes = draw_summary(found, ["energy", "tempo", "mode"], ["no", "yes"]).axes[0]
    names = dict(
        zip(axes.get_yticks(), (t.get_text() for t in axes.get_yticklabels()), strict=True)
    )
    assert [names[place] for place in sorted(names, reverse=True)] == ["tempo", "mode", "energy"]
    assert max(bar.get_x() + bar.get_width() for bar in axes.patches) == pytest.approx(0.6)
