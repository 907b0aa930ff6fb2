"""python -m data.audit: what it names in doctored folders, and that it leaves clean ones alone."""

import csv
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.cli import run
from data.audit.__main__ import main
from data.audit.appearance import measure_appearance
from data.audit.audit import Audit, audit, lines
from data.audit.label_errors import (
    find_label_issues,
    label_issues_in,
    probability_of_error,
)
from data.audit.report import write_page
from data.image_folder import scan
from data.images.colour_map import COLOUR_MAPS, nearest_colour_map
from inference.library.precision import read_held_out
from tests.damage import at_most
from tests.helpers import ROOT, run_module

pytestmark = pytest.mark.slow  # whole commands, or as long as these

DEMO = ROOT / "subsampled_data"
Command = Callable[..., tuple[int, str, str]]


def shortcuts_in(found: Audit) -> dict[str, set[str]]:
    """{class: the cues that give it away}."""
    named: dict[str, set[str]] = {}
    for shortcut in found.shortcuts:
        for name in shortcut.classes:
            named.setdefault(name, set()).add(shortcut.cue)
    return named


@pytest.fixture(scope="module")
def clean() -> Audit:
    return audit(scan(DEMO))


@pytest.fixture(scope="module")
def doctored_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo as RGB, one class with a 2-pixel border, one as JPEG, one a brightness step up."""
    root = tmp_path_factory.mktemp("doctored") / "music"
    for file in sorted(DEMO.glob("*/*.png")):
        pixels = np.array(Image.open(file).convert("RGB"))
        label = file.parent.name
        target = root / label / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if label == "ChipTracker":
            pixels[:2] = pixels[-2:] = 255
            pixels[:, :2] = pixels[:, -2:] = 255
        if label == "RockMetal":
            pixels = np.minimum(pixels, 254) + 1
        if label == "Electronic":
            Image.fromarray(pixels).save(target.with_suffix(".jpg"), quality=95)
        else:
            Image.fromarray(pixels).save(target)
    return root


@pytest.fixture(scope="module")
def doctored(doctored_folder: Path) -> Audit:
    return audit(scan(doctored_folder))


def test_a_clean_folder_raises_no_alarm(clean: Audit) -> None:
    assert clean.findings() == []
    assert lines(clean)[-1] == "nothing odd found"
    assert len(clean.passed()) == 6


def test_each_doctored_class_is_named_with_what_gives_it_away(doctored: Audit) -> None:
    named = shortcuts_in(doctored)
    assert "outermost rows and columns" in named["ChipTracker"]
    assert "file format" in named["Electronic"]
    assert {"colours", "brightness"} & named["RockMetal"]
    assert "Orchestral" not in named
    notes = [note for note in doctored.findings() if note.startswith("shortcut: ChipTracker")]
    assert any("outermost rows and columns alone: 100%" in note for note in notes)
    assert "no cue but the music tells the classes apart" not in doctored.passed()


def test_one_step_of_brightness_is_seen_in_grey_pictures_too(tmp_path: Path) -> None:
    for file in sorted(DEMO.glob("*/*.png")):
        grey = np.array(Image.open(file).convert("P"))  # the palette index is the loudness
        grey = np.minimum(grey, 254) + (file.parent.name == "Orchestral")
        (tmp_path / file.parent.name).mkdir(exist_ok=True)
        Image.fromarray(grey.astype(np.uint8)).save(tmp_path / file.parent.name / file.name)
    assert "brightness" in shortcuts_in(audit(scan(tmp_path)))["Orchestral"]


def test_mixed_formats_and_colour_maps_are_counted(doctored: Audit) -> None:
    notes = doctored.findings()
    assert any(
        note.startswith("pictures have 2 file formats (PNG: 108, JPEG: 36)") for note in notes
    )


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_colour_maps_are_recognised(name: str) -> None:
    from matplotlib import colormaps

    level = np.asarray(Image.open(next(DEMO.glob("*/*.png"))))
    found = nearest_colour_map((255 * colormaps[name](level)[..., :3]).astype(np.uint8))
    assert found == {"Greys": "gray"}.get(name, name)


def test_three_layers_in_rgb_have_no_colour_map() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert nearest_colour_map(noise) == "other"


def test_a_look_states_the_file_and_its_edge(tmp_path: Path) -> None:
    pixels = np.full((20, 30, 3), 100, np.uint8)
    pixels[:2] = 200
    Image.fromarray(pixels).save(tmp_path / "x.png")
    look = measure_appearance(tmp_path / "x.png")
    assert (look.file_format, look.mode, look.width, look.height) == ("PNG", "RGB", 30, 20)
    assert look.n_bytes == (tmp_path / "x.png").stat().st_size
    assert look.brightness[:3].tolist() == [100, 200, 110]
    assert look.edges == pytest.approx([200, 0, 100, 0, 110, 30, 110, 30])


def test_very_large_pictures_are_looked_at_one_after_the_other(tmp_path: Path) -> None:
    """Nine of 49 million pixels took 1 GB, and more on more cores."""
    pixels = np.zeros((4900, 4900, 3), np.uint8)
    pixels[500:4500, 500:4500] = 50 + np.arange(4000)[:, None, None] // 20
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name, compress_level=1)
    examples = scan(tmp_path)
    with at_most(450, 60):
        found = audit(examples)
        write_page(tmp_path / "a.html", found)
    assert found.drawing.frames[0].box == pytest.approx((500, 500, 4500, 4500), abs=40)
    assert {(one.width, one.height) for one in found.appearances} == {(4900, 4900)}


def test_drawn_axes_are_named(tmp_path: Path) -> None:
    """Ticks and a frame around every picture, as matplotlib draws them."""
    for file in sorted(DEMO.glob("*/*.png"))[::6]:
        pixels = np.full((160, 480, 3), 255, np.uint8)
        pixels[16:144, 24:456] = np.asarray(Image.open(file).convert("RGB"))
        pixels[144:150, 24:456:20] = pixels[16:144:12, 16:24] = 0
        (tmp_path / file.parent.name).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / file.parent.name / file.name)
    kept = audit(scan(tmp_path), crop=False).findings()
    assert any("drawn and the same in all: axes" in note for note in kept)
    cropped = audit(scan(tmp_path))
    assert "cropped 28% of margins: 432x128 of 480x160; --no-crop keeps them" in cropped.findings()
    assert {one.colour_map for one in cropped.appearances} == {"magma"}  # with the frame: other


def folder_with_faults(tmp_path: Path) -> Path:
    """A part of the demo with an exact copy in its class, one in another, and a damaged file."""
    root = tmp_path / "music"
    for name in ("ChipTracker", "Orchestral"):
        (root / name).mkdir(parents=True)
        for file in sorted((DEMO / name).glob("*__000.png"))[:8]:
            shutil.copy(file, root / name / f"{name}-{file.stem.split('__')[0]}.png")
    first, second = sorted((root / "ChipTracker").iterdir())[:2]
    shutil.copy(first, root / "ChipTracker" / "copy.png")
    shutil.copy(second, root / "Orchestral" / "misfiled.png")
    (root / "Orchestral" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return root


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`python -m data.audit` in this process: (exit code, stdout, stderr)."""

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["audit", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            run(main)
        return (int(ended.value.code or 0), *capsys.readouterr())

    return call


def test_the_command_names_faults_and_writes_a_page(tmp_path: Path) -> None:
    """As a process of its own, once."""
    root = folder_with_faults(tmp_path)
    (root / "Orchestral" / "<b>bold.png").write_bytes(
        next((root / "Orchestral").glob("misfiled*")).read_bytes()
    )
    done = run_module("data.audit", root, "--html", tmp_path / "audit.html")
    assert done.returncode == 3, done.stderr
    assert "broken.png: not a picture" in done.stdout
    assert "duplicates in two classes: one label is wrong" in done.stdout
    assert "ChipTracker\t9 pictures\t9 groups" in done.stdout
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 6  # three pairs
    assert "http" not in page.replace("http-equiv", "")
    assert "<b>bold" not in page and "&lt;b&gt;bold.png" in page


def test_fixing_by_groups_is_what_training_reads(command: Command, tmp_path: Path) -> None:
    root = folder_with_faults(tmp_path)
    assert command(root, "--fix-duplicates", "group")[0] == 3
    groups = dict(zip((e := scan(root)).paths, e.groups, strict=True))
    first, second = sorted((root / "ChipTracker").glob("Chip*"))[:2]
    assert groups["ChipTracker/copy.png"] == groups[f"ChipTracker/{first.name}"]
    assert groups["Orchestral/misfiled.png"] == groups[f"ChipTracker/{second.name}"]
    assert len(set(groups.values())) == 17  # 19 pictures, the broken one among them, two joined
    assert "nothing to do" in command(root, "--fix-duplicates", "group")[1]


def test_fixing_by_dropping_moves_and_deletes_nothing(command: Command, tmp_path: Path) -> None:
    """One of equal pictures stays; of a pair in two classes none, for nobody knows its label."""
    root = folder_with_faults(tmp_path)
    before = {path.name for path in root.glob("*/*")}
    second = sorted((root / "ChipTracker").glob("Chip*"))[1]
    assert "3 pictures moved to" in command(root, "--fix-duplicates", "drop")[1]
    moved = {path.name for path in (tmp_path / "music-dropped").glob("*/*")}
    assert moved == {"misfiled.png", second.name, "copy.png"}
    assert {path.name for path in root.glob("*/*")} == before - moved
    assert "duplicates" not in command(root)[1]


def test_wrong_labels_that_were_put_in_are_found() -> None:
    """A good classifier's probabilities, and 5 of 200 labels exchanged: these come first."""
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=200)
    logits = rng.normal(size=(200, 4))
    logits[np.arange(200), truth] += 5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = truth.copy()
    wrong = rng.permutation(200)[:5]
    labels[wrong] = (labels[wrong] + 1) % 4
    found = find_label_issues(probabilities, labels)
    assert len(set(found[:4]) & set(wrong)) == 4
    assert len(found) < 10


@pytest.mark.parametrize("n_wrong", [0, 20, 100])
def test_the_expected_number_of_wrong_labels_is_near_the_true_one(n_wrong: int) -> None:
    """Of 1,000, by a model that is right on 94 % of them and knows how sure it is."""
    rng = np.random.default_rng(0)
    truth = rng.integers(6, size=1000)
    seen = rng.normal(size=(1000, 6))
    seen[np.arange(1000), truth] += 3
    odds = np.exp(3 * seen)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    labels = truth.copy()
    labels[:n_wrong] = (labels[:n_wrong] + rng.integers(1, 6, size=n_wrong)) % 6
    found = find_label_issues(probabilities, labels)
    expected = probability_of_error(probabilities, labels)[found]
    assert np.all(np.diff(expected) <= 1e-12)
    assert abs(expected.sum() - n_wrong) < 6 + 0.2 * n_wrong
    assert expected.sum() < len(found)


def test_suspects_of_a_hand_made_case() -> None:
    """Thresholds are 0.6 and 0.7: only the third picture reaches that of the other class."""
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.3, 0.7]])
    assert find_label_issues(probabilities, np.array([0, 0, 0, 1])).tolist() == [2]


def test_a_runs_predictions_are_read_and_others_refused(tmp_path: Path) -> None:
    file = tmp_path / "predictions.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["path", "label", "group", "split", "predicted", "a", "b"])
        for i in range(20):
            p = 0.95 if i % 2 else 0.05
            label = "b" if i == 1 else ("a" if i % 2 else "b")
            writer.writerow([f"{label}/{i}.png", label, i, 1, "a" if i % 2 else "b", p, 1 - p])
    [suspect] = label_issues_in(file)
    assert suspect[:3] == ("b/1.png", "b", "a") and 0 < suspect.p_wrong < 1
    whole = file.read_text()
    damaged = {
        whole[:-30]: "line 21: [0-9] cells under 7 columns",
        whole.replace("0.05", "1e999"): "are no probabilities",
        whole.replace("0.05", "nan"): "are no probabilities",
        whole.replace("0.05", "-3"): "are no probabilities",
        whole.replace("0.05", "x"): "a probability is no number",
        whole + '"': "line 22: 1 cells",
    }
    for text, what in damaged.items():
        file.write_text(text)
        for read in (label_issues_in, lambda file: read_held_out(file, ["a", "b"])):
            with pytest.raises(ValueError, match=rf"predictions\.csv.*{what}"):
                read(file)
    file.write_text("path,label\na/x.png,a\n")
    with pytest.raises(ValueError, match=r"predictions\.csv needs the columns"):
        label_issues_in(file)


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["nowhere"], 1, "no image folder at nowhere"),
        ([DEMO, "--group", "composer"], 1, "--group composer"),
        ([DEMO, "--predictions", "no.csv"], 1, "no predictions at no.csv"),
        ([DEMO, "--fix-duplicates", "burn"], 2, "--fix-duplicates"),
        ([], 2, "folder"),
    ],
)
def test_bad_input_is_one_line(
    command: Command, arguments: list[object], code: int, part: str
) -> None:
    returned, _, stderr = command(*arguments)
    assert returned == code, stderr
    assert len(stderr.strip().splitlines()) == 1
    assert part in stderr
