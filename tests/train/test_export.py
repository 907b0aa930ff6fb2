"""python -m train.export: every form answers as the model, and foreign weights become a model."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from predict import load
from tests.helpers import Run, run_module
from train.export import formats
from train.export.__main__ import main
from train.export.state_dict import import_state_dict

pytestmark = pytest.mark.slow  # whole commands, or as long as these

FORMS = {"onnx": "model.onnx", "torchscript": "model.torchscript.pt", "int8": "model.int8.onnx",
         "safetensors": "model.safetensors", "timm-hub": "timm"}  # fmt: skip


def export(*args: object) -> subprocess.CompletedProcess[str]:
    return run_module("train.export", *args)


@pytest.fixture(scope="module")
def exported(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder with every form of the stripes' model, and the table that was printed."""
    out = tmp_path_factory.mktemp("exported")
    flags = [f"--{form}" for form in FORMS]
    done = export(trained.folder / "model.pth", *flags, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_the_table_says_how_well_each_form_agrees(exported: tuple[Path, str]) -> None:
    out, table = exported
    for form, name in FORMS.items():
        (line,) = (x for x in table.splitlines() if x.startswith(f"{out / name} "))
        _, size, speed, same, difference = re.split(r"\s{2,}", line)
        assert float(size) > 0.05
        assert float(speed) > 1
        assert float(same.rstrip("%")) >= (90 if form == "int8" else 100)
        assert float(difference) < (0.3 if form == "int8" else 1e-4)
    assert "on 48 pictures" in table


def test_the_onnx_forms_are_models_for_predict(
    exported: tuple[Path, str], trained: Run, stripes: Path
) -> None:
    picture = stripes / "low/low1__0.png"
    original = load(trained.folder / "model.pth")(picture)
    for name, tolerance in (("model.onnx", 1e-4), ("model.int8.onnx", 0.3)):
        answer = load(exported[0] / name)(picture)
        assert answer.label == original.label
        assert answer.probability == pytest.approx(original.probability, abs=tolerance)


def test_torchscript_and_timm_need_nothing_of_ours(
    exported: tuple[Path, str], trained: Run, stripes: Path
) -> None:
    """Read by a Python that cannot import this project, they give the same logits."""
    model = load(trained.folder / "model.pth")
    pixels = model.read(stripes / "high/high0__0.png")
    expected = model.network.logits(pixels[None])
    np.save(exported[0] / "x.npy", pixels.transpose(2, 0, 1)[None])
    code = """
import json, sys, warnings, numpy as np, torch, timm
warnings.simplefilter("ignore")
x = torch.from_numpy(np.load("x.npy"))
extra = {"facts.json": ""}
script = torch.jit.load("model.torchscript.pt", _extra_files=extra)
network = timm.create_model("local-dir:timm", pretrained=True).eval()
cfg = network.pretrained_cfg
mean, std = (torch.tensor(cfg[k]).view(1, 3, 1, 1) for k in ("mean", "std"))
with torch.inference_mode():
    a, b = script(x), network((x / 255 - mean) / std)
print(json.dumps([a.tolist(), b.tolist(), json.loads(extra["facts.json"])["classes"],
                  cfg["label_names"]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=exported[0], capture_output=True, text=True, check=True
    )
    import json

    script, timm_logits, *names = json.loads(done.stdout)
    assert np.allclose(script, expected, atol=1e-4)
    assert np.allclose(timm_logits, expected, atol=1e-4)
    assert names == [list(model.classes)] * 2


def test_a_form_that_cannot_be_does_not_lose_the_others(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("--timm-hub: timm has no such network")

    monkeypatch.setitem(formats.FORMATS, "timm_hub", ("timm", refuse))
    model, out = str(trained.folder / "model.pth"), ["--out", str(tmp_path), "--n-pictures", "2"]
    for forms, code in ((["--timm-hub", "--safetensors"], 3), (["--timm-hub"], 1)):
        monkeypatch.setattr(sys, "argv", ["export", model, *forms, *out])
        assert main() == code
        said = capsys.readouterr()
        assert ("model.safetensors" in said.out) == (code == 3)
        assert said.err == "error: --timm-hub: timm has no such network\n"


class Usual(torch.nn.Module):
    """What the usual scripts write: torchvision's ResNet50 in a module of their own."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        from torchvision.models import resnet50

        self.resnet = resnet50(weights=None)
        head = torch.nn.Linear(2048, n_classes)
        self.resnet.fc = torch.nn.Sequential(torch.nn.Dropout(0.5), head)  # type: ignore[assignment]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.resnet(x)


def test_a_bare_state_dict_becomes_a_model(tmp_path: Path, stripes: Path) -> None:
    torch.manual_seed(0)
    usual = Usual(3).eval()
    torch.save(usual.state_dict(), tmp_path / "W.pth")
    (tmp_path / "classes.txt").write_text("jazz\nblues\nrock\n")
    flags = ["--from-state-dict", tmp_path / "W.pth", "--classes", tmp_path / "classes.txt"]
    done = export(*flags, "--out", tmp_path / "m.pth", "--image-size", "96x64")
    assert done.returncode == 0, done.stderr
    model = load(tmp_path / "m.pth")
    assert model.classes == ("jazz", "blues", "rock")  # the order of the weights, not the alphabet
    pixels = model.read(stripes / "low/low0__0.png")
    assert pixels.shape == (64, 96, 3)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((torch.from_numpy(pixels) / 255 - mean) / std).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = usual(x).numpy()
    assert np.allclose(model.network.logits(pixels[None]), expected, atol=1e-3)
    with pytest.raises(ValueError, match="tells 3 classes apart; --classes names 2"):
        import_state_dict(tmp_path / "W.pth", ("a", "b"), (96, 64), tmp_path / "other.pth")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["m.pth"], 2, "nothing to write"),
        (["--onnx"], 2, "give a model file"),
        (["no.pth", "--onnx"], 1, "no model file at no.pth"),
        (["--from-state-dict", "no.pth"], 2, "give both or none"),
    ],
)
def test_bad_input_is_one_line(args: list[str], code: int, said: str) -> None:
    done = export(*args)
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_foreign_weights_are_named(tmp_path: Path) -> None:
    file = tmp_path / "W.pth"
    for content in ({"layer.weight": torch.zeros(2, 2)}, [1, 2]):
        torch.save(content, file)
        with pytest.raises(ValueError, match=r"W\.pth: no"):
            import_state_dict(file, ("a", "b"), (64, 64), tmp_path / "m.pth")
    file.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="it is damaged"):
        import_state_dict(file, ("a", "b"), (64, 64), tmp_path / "m.pth")
    assert not (tmp_path / "m.pth").exists()
