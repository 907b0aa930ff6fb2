"""python predict.py as a person runs it."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from predict import load
from tests.helpers import ROOT, Run, run_script
from train.models import model_file

pytestmark = pytest.mark.slow  # whole commands, or as long as these


def test_it_prints_the_class_and_the_probability(trained: Run, stripes: Path) -> None:
    done = run_script("predict.py", trained.folder / "model.pth", stripes / "high" / "high0__0.png")
    assert done.returncode == 0, done.stderr
    path, answer, probability = done.stdout.strip().split("\t")
    assert path.endswith("high0__0.png")
    assert answer in {f"Predicted class: {name}" for name in ("high", "low", "middle")}
    assert 1 / 3 < float(probability) <= 1


@pytest.mark.parametrize("file", ["model.pth", "model.onnx"])
def test_its_answers_are_the_reports(
    trained: Run, stripes: Path, file: str, tmp_path: Path
) -> None:
    """Every probability of the test part in predictions.csv comes again from the model file."""
    with (trained.folder / "predictions.csv").open(newline="") as lines:
        expected = {r["path"]: r for r in csv.DictReader(lines) if r["split"] == "test"}
    inputs = [stripes / path for path in expected]
    table = tmp_path / "answers.csv"
    done = run_script("predict.py", trained.folder / file, *inputs, "--csv", table)
    assert done.returncode == 0, done.stderr
    with table.open(newline="") as lines:
        for row in csv.DictReader(lines):
            known = expected[Path(row["path"]).relative_to(stripes).as_posix()]
            assert row["class"] == known["predicted"]
            for name in ("high", "low", "middle"):
                assert float(row[name]) == pytest.approx(float(known[name]), abs=1e-3)


def test_it_needs_nothing_but_the_model_file(trained: Run, stripes: Path, tmp_path: Path) -> None:
    """Another folder, renamed class folders, no run folder: the class names come from the file."""
    shutil.copy(trained.folder / "model.pth", tmp_path / "m.pth")
    shutil.copy(stripes / "low" / "low1__0.png", tmp_path / "x.png")
    here = run_script("predict.py", "m.pth", "x.png", "--json", cwd=tmp_path)
    there = run_script(
        "predict.py", trained.folder / "model.pth", stripes / "low" / "low1__0.png", "--json"
    )
    first, second = json.loads(here.stdout)[0], json.loads(there.stdout)[0]
    assert first["probabilities"] == second["probabilities"]
    assert sorted(first["probabilities"]) == ["high", "low", "middle"]
    assert sum(first["probabilities"].values()) == pytest.approx(1)


def test_top_n_folders_and_patterns(trained: Run, stripes: Path) -> None:
    model = trained.folder / "model.pth"
    done = run_script("predict.py", model, stripes / "low", f"{stripes}/high/*__0.png", "--top", 2)
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 2 * (16 + 8)
    assert sum("Predicted class: " in line for line in lines) == 24
    assert all("\t2. " in line for line in lines[1::2])


def test_unreadable_files_are_named(trained: Run, stripes: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    model, good = trained.folder / "model.pth", stripes / "low" / "low0__0.png"
    both = run_script("predict.py", model, bad, good)
    assert both.returncode == 3
    assert "bad.png: not a picture" in both.stderr
    assert both.stdout.count("Predicted class:") == 1
    alone = run_script("predict.py", model, bad)
    assert (alone.returncode, alone.stdout) == (1, "")


class _Bomb:
    """Unpickled, it would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self.target,))  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["truncated", "foreign", "newer", "bomb", "missing", "text"])
def test_a_bad_model_file_is_one_line(
    trained: Run, stripes: Path, kind: str, tmp_path: Path
) -> None:
    file, loot = tmp_path / "m.pth", tmp_path / "loot"
    whole = (trained.folder / "model.pth").read_bytes()
    if kind == "truncated":
        file.write_bytes(whole[: len(whole) // 2])
    elif kind == "foreign":
        torch.save({"fc.weight": torch.zeros(2, 2)}, file)
    elif kind == "newer":
        torch.save(torch.load(trained.folder / "model.pth") | {"format": 99}, file)
    elif kind == "bomb":
        torch.save({"format": 1, "weights": _Bomb(loot)}, file)
    elif kind == "text":
        file.write_text("hello")
    done = run_script("predict.py", file, stripes / "low" / "low0__0.png")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "m.pth" in done.stderr
    assert not loot.exists()


def test_loading_gives_the_logits_that_were_saved(trained: Run, tmp_path: Path) -> None:
    model, facts = model_file.load(trained.folder / "model.pth")
    model_file.save(tmp_path / "copy.pth", model.state_dict(), facts)
    again, _ = model_file.load(tmp_path / "copy.pth")
    images = torch.randint(256, (3, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(model(images), again(images))


def test_the_python_api_answers_as_the_script(trained: Run, stripes: Path) -> None:
    picture = stripes / "middle" / "middle2__1.png"
    answer = load(trained.folder / "model.pth")(picture)
    done = run_script("predict.py", trained.folder / "model.pth", picture)
    assert f"Predicted class: {answer.label}\t{answer.probability:.4f}" in done.stdout
    assert np.isclose(sum(answer.probabilities.values()), 1)


@pytest.mark.parametrize(
    ("model", "needless"),
    [
        ("model.onnx", {"torch", "timm", "matplotlib", "librosa", "sklearn", "scipy.spatial"}),
        # scikit-learn and onnxruntime, which training uses, would add a third to every answer
        ("model.pth", {"sklearn", "onnxruntime", "matplotlib", "librosa"}),
    ],
)
def test_prediction_imports_no_more_than_it_needs(
    model: str, needless: set[str], trained: Run, stripes: Path
) -> None:
    code = (
        "import sys; from predict import load; "
        f"load({str(trained.folder / model)!r})({str(stripes / 'low' / 'low0__0.png')!r}); "
        f"print({needless!r} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
