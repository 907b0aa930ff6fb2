"""python -m train.evaluate: the same report for other people's pictures, and how far they are."""

import csv
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from common.cli import run
from data.audit.audit import audit
from data.image_folder import scan
from tests.helpers import Run, facts_of_pictures
from train.evaluate.__main__ import main
from train.evaluate.domain_shift import changes, distances, likely_cause, reference_of, shift
from train.evaluate.shift_report import drawn_differently

pytestmark = pytest.mark.slow  # whole commands, or as long as these

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`python -m train.evaluate` in this process: (exit code, stdout, stderr)."""

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            run(main)
        return (int(ended.value.code or 0), *capsys.readouterr())

    return call


def test_the_report_of_another_folder_is_true(
    trained: Run, stripes: Path, tmp_path: Path, evaluate: Command
) -> None:
    """The same pictures under a class of which the model knows nothing, and one damaged."""
    folder, out = tmp_path / "others", tmp_path / "out"
    shutil.copytree(stripes, folder)
    shutil.copytree(folder / "low", folder / "polka")
    (folder / "high" / "broken.png").write_text("no picture")
    code, said, errors = evaluate(trained.folder / "model.pth", folder, "--out", out)
    assert code == 3, errors
    assert "polka: the model has no such class" in errors and "broken.png" in errors
    with (out / "predictions.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    metrics = json.loads((out / "metrics.json").read_text())
    assert len(rows) == metrics["test"]["n"] == 48
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert metrics["test"]["accuracy"] == pytest.approx(right)
    assert f"accuracy {metrics['test_recordings']['accuracy']:.3f}" in said
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "cannot be seen here" in page and "had never met" not in page
    assert "after everything was chosen" not in page
    with (trained.folder / "predictions.csv").open(newline="") as lines:
        own = {row["path"]: row for row in csv.DictReader(lines)}
    tested = [row for row in rows if own[row["path"]]["split"] == "test"]
    for row in tested:  # the shipped model says of a picture what the run's report says
        assert float(row["low"]) == pytest.approx(float(own[row["path"]]["low"]), abs=2e-3)


def test_the_folder_of_training_is_no_test(
    trained: Run, stripes: Path, tmp_path: Path, evaluate: Command
) -> None:
    code, said, _ = evaluate(trained.folder / "model.pth", stripes, "--out", tmp_path)
    assert code == 0
    assert "trained on this very folder" in (tmp_path / "report.html").read_text()
    assert "likely cause" not in said


def test_colours_of_another_kind_are_read_back_and_no_difference(
    trained: Run, stripes: Path, tmp_path: Path, evaluate: Command
) -> None:
    """Grey pictures redrawn in viridis: the model sees both in the same colours."""
    from matplotlib import colormaps

    for file in stripes.glob("*/*.png"):
        target = tmp_path / "viridis" / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        level = np.asarray(Image.open(file).convert("L"))
        Image.fromarray((255 * colormaps["viridis"](level)[..., :3]).astype(np.uint8)).save(target)
    _, said, _ = evaluate(trained.folder / "model.pth", tmp_path / "viridis", "--out", tmp_path)
    assert "accuracy 1.000" in said
    assert "the colour map is" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["no.pth", "no"], 1, "no model file at no.pth"),
        (["model.pth", "no"], 1, "no image folder at no"),
        (["model.pth", "others"], 1, "none in common"),
        (["model.pth", "others", "--batch-size", "0"], 2, "--batch-size 0"),
    ],
)
def test_bad_input_is_one_line(
    trained: Run, image_folder: Path, monkeypatch: pytest.MonkeyPatch, evaluate: Command,
    arguments: list[str], code: int, part: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(image_folder.parent)
    shutil.copy(trained.folder / "model.pth", "model.pth")
    image_folder.rename("others")
    returned, _, errors = evaluate(*arguments)
    assert returned == code
    assert len(errors.strip().splitlines()) == 1 and part in errors


def test_distances_know_kin_from_strangers() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 3)
    known = rng.normal(size=(120, 30)) + rng.normal(size=(40, 30))[groups]
    reference = reference_of(known, groups)
    assert reference is not None
    json.dumps(asdict(reference))  # plain data for the model file
    kin = rng.normal(size=(60, 30)) + rng.normal(size=(20, 30))[np.repeat(np.arange(20), 3)]
    assert shift(kin, reference, 20) < 1.4
    assert (distances(kin, reference) > reference.far).mean() < 0.15
    assert shift(kin + 1.5, reference, 20) > 3
    assert (distances(kin + 3, reference) > reference.far).mean() > 0.9
    assert reference_of(known[:12], groups[:12]) is None


def beats(period: int, n: int = 40) -> torch.Tensor:
    """n pictures uint8 (3, 48, 96) of a bass line below and square beats of so many pixels."""
    rng = np.random.default_rng(period)
    pictures = []
    for _ in range(n):
        grey = rng.integers(0, 60, (48, 96))
        grey[:, (np.arange(96) + rng.integers(period)) % period < period // 2] += 120
        grey[36:] += 60
        pictures.append(np.repeat(grey.clip(0, 255).astype(np.uint8)[None], 3, axis=0))
    return torch.from_numpy(np.stack(pictures))


def rhythm(images: torch.Tensor) -> np.ndarray:
    """Spectrum of the loudness over time, and the loudness of four bands."""
    grey = images.float().mean(dim=1)
    loudness = grey.mean(dim=1)
    spectrum = torch.fft.rfft(loudness - loudness.mean(dim=1, keepdim=True)).abs()[:, 1:]
    bands = grey.reshape(len(grey), 4, -1).mean(dim=2)
    return torch.cat([spectrum / 100, bands / 10], dim=1).numpy()


@pytest.mark.parametrize(
    ("images", "part"),
    [
        (beats(6), "clips of about 20 s, the model was trained on clips of 10 s"),
        (beats(24), "clips of about 5 s"),
        (beats(12).flip(2), "pitch runs downwards"),
        (255 - beats(12), "dark means loud"),
    ],
)
def test_the_likely_cause_is_the_one_that_was_put_in(images: torch.Tensor, part: str) -> None:
    reference = reference_of(rhythm(beats(12)), np.arange(40))
    assert reference is not None
    cause = likely_cause(images, rhythm, reference, seconds=10.0)
    assert cause is not None and part in cause[0]
    assert cause[2] < cause[1]


def test_kin_have_no_likely_cause_and_changes_keep_the_shape() -> None:
    reference = reference_of(rhythm(beats(12)), np.arange(40))
    assert reference is not None
    assert likely_cause(beats(12, n=30), rhythm, reference) is None
    for _, change in changes(lambda images: images):
        assert change(beats(12)[:2]).shape == (2, 3, 48, 96)
        assert change(beats(12)[:2]).dtype == torch.uint8


def test_training_pictures_are_of_no_other_shape(image_folder: Path) -> None:
    """Of pictures wider than twice the network's input, at most that is kept: a square here."""
    found = audit(scan(image_folder))  # 32x24
    for canvas, differs in (((16, 16), False), ((16, 8), True)):
        facts = facts_of_pictures(8, 8)
        facts = replace(facts, inputs=replace(facts.image, canvas=canvas))
        lines = drawn_differently(facts, found)
        assert any("another shape" in line for line in lines) == differs
