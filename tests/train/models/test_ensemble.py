"""--final ensemble: one file whose answer is the mean of its members', on every path."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import softmax

from predict import load
from tests.helpers import SHORT, TINY, facts_of_pictures, run_script
from train.models import model_file
from train.models.backbone import create_backbone
from train.models.classifier import Classifier
from train.models.ensemble import Ensemble, ensemble_of, members_of, weights_of_members
from train.models.gradcam import grad_cam

pytestmark = pytest.mark.slow  # whole commands, or as long as these


def classifier(seed: int) -> Classifier:
    """A classifier of three classes with weights of its own."""
    torch.manual_seed(seed)
    model = Classifier(create_backbone("test_resnet"), 3, dropout=0.5)
    torch.nn.init.normal_(model.head.weight, std=0.2)
    model.shift.normal_()
    return model.eval()


def members(*, one_backbone: bool) -> list[dict[str, torch.Tensor]]:
    """Weights of three classifiers, of one backbone or of three."""
    first = classifier(0).state_dict()
    backbone = {k: t for k, t in first.items() if k.startswith("backbone.") and one_backbone}
    return [classifier(seed).state_dict() | backbone for seed in range(3)]


@pytest.fixture
def images() -> torch.Tensor:
    """Four pictures of noise."""
    return torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)


def answers(weights: dict[str, torch.Tensor], images: torch.Tensor, t: float) -> torch.Tensor:
    """Probabilities of one member on its own."""
    model = classifier(9)
    model.load_state_dict(weights)
    with torch.inference_mode():
        return softmax(model.eval()(images) / t, dim=1)


@pytest.mark.parametrize("one_backbone", [True, False])
def test_its_probabilities_are_the_mean_of_its_members(
    one_backbone: bool, images: torch.Tensor
) -> None:
    weights = members(one_backbone=one_backbone)
    ensemble = ensemble_of(classifier(9), weights, 0.7).eval()
    assert ensemble.one_backbone == one_backbone
    expected = torch.stack([answers(one, images, 0.7) for one in weights]).mean(dim=0)
    with torch.inference_mode():
        got = softmax(ensemble(images) / 0.7, dim=1)
    assert torch.allclose(got, expected, atol=1e-6)
    assert expected.amax(dim=1).min() < 0.99  # the members differ, else this would tell nothing


@pytest.mark.parametrize("one_backbone", [True, False])
def test_its_file_brings_it_back(one_backbone: bool, images: torch.Tensor, tmp_path: Path) -> None:
    weights = members(one_backbone=one_backbone)
    ensemble = ensemble_of(classifier(9), weights, 0.7).eval()
    sizes = []
    for name, state in (("one", weights[0]), ("many", ensemble.state_dict())):
        facts = facts_of_pictures(32, 32, classes=("a", "b", "c"), temperature=0.7)
        model_file.save(tmp_path / name, state, facts)
        sizes.append((tmp_path / name).stat().st_size)
    again, _ = model_file.load(tmp_path / "many")
    assert isinstance(again, Ensemble) and again.one_backbone == one_backbone
    assert len(again.members) == 3
    with torch.inference_mode():
        assert torch.allclose(again(images), ensemble(images), atol=1e-6)
    # test_resnet is small: its names and headers are a part of the file, its heads hardly any
    assert (sizes[1] < 1.1 * sizes[0]) == one_backbone


def test_a_frozen_backbone_sees_each_picture_once(images: torch.Tensor) -> None:
    ensemble = ensemble_of(classifier(9), members(one_backbone=True), 1.0).eval()
    seen = []
    ensemble.members[0].backbone.register_forward_hook(lambda *_: seen.append(1))
    ensemble(images)
    assert seen == [1]


def test_members_keep_their_own_backbones_weights() -> None:
    weights = members(one_backbone=False)
    for one, again in zip(
        weights, weights_of_members(ensemble_of(classifier(9), weights, 1.0).state_dict()),
        strict=True,
    ):  # fmt: skip
        assert one.keys() == again.keys()
        assert all(torch.equal(one[name], again[name]) for name in one)
    assert weights_of_members(weights[0]) == []


def test_its_heat_is_that_of_its_members(images: torch.Tensor) -> None:
    ensemble = ensemble_of(classifier(9), members(one_backbone=False), 1.0).eval()
    alone = grad_cam(ensemble.members[0], images, 1)  # type: ignore[arg-type]
    assert grad_cam(ensemble, images, 1).shape == alone.shape
    same = Ensemble([ensemble.members[0], ensemble.members[0]])
    assert torch.allclose(grad_cam(same, images, 1), alone, atol=1e-5)
    assert not torch.allclose(grad_cam(ensemble, images, 1), alone, atol=1e-2)
    assert members_of(ensemble.members[0]) == [ensemble.members[0]]


def test_a_run_ships_the_ensemble_it_tested(stripes: Path, tmp_path: Path) -> None:
    done = run_script("main.py", "--data", stripes, "--out", tmp_path, *TINY, *SHORT,
                      "--epochs", 3, "--final", "ensemble")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the model is the mean of the answers of 2 folds' models" in done.stdout
    run = tmp_path / "latest"
    metrics = json.loads((run / "metrics.json").read_text())
    rows = [line.split(",") for line in (run / "predictions.csv").read_text().splitlines()]
    tested = [row for row in rows if row[3] == "test"]
    both = [load(run / name) for name in ("model.pth", "model.onnx")]
    for row in tested:
        answered = [model(stripes / row[0]).probabilities for model in both]
        for one in answered:
            assert np.allclose(list(one.values()), [float(p) for p in row[5:]], atol=2e-4)
    assert metrics["test"]["n"] == len(tested) > 0


def test_an_ensemble_of_tables_answers_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["path,label,a,b,c"]
    for i in range(60):
        a, b, c = rng.normal(size=3) + i % 3
        lines.append(f"{i},{'xyz'[i % 3]},{a:.4f},{b:.4f},{c:.4f}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    common = ("--data", tmp_path / "t.csv", "--out", tmp_path / "runs", "--folds", "3")
    done = run_script("main.py", *common, "--final", "ensemble", "--epochs", "3",
                      "--learning-rate", "0.05")  # fmt: skip
    assert done.returncode == 0, done.stderr
    torch_says, onnx_says = (
        list(load(tmp_path / f"runs/latest/model.{end}").predict([str(tmp_path / "t.csv")]))
        for end in ("pth", "onnx")
    )
    assert len(torch_says) == 60
    for one, other in zip(torch_says, onnx_says, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    refused = run_script("main.py", *common, "--model", "svm", "--final", "ensemble")
    assert refused.returncode == 1
    assert "--final ensemble" in refused.stderr and len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("one_backbone", [True, False])
def test_logits_and_embeddings_come_from_one_pass(one_backbone: bool, images: torch.Tensor) -> None:
    """Of one backbone or of three: what `forward` and `features` say apart."""
    model = ensemble_of(classifier(9), members(one_backbone=one_backbone), 0.7).eval()
    with torch.inference_mode():
        logits, embeddings = model.logits_and_embeddings(images)
        torch.testing.assert_close(logits, model(images))
        torch.testing.assert_close(embeddings, model.features(images))
