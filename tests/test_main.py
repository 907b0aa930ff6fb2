"""python main.py as a person runs it: what it writes, what it prints, how it fails."""

import csv
import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from data.image_folder import scan
from tests.damage import png_header
from tests.helpers import (
    ROOT,
    SHORT,
    TINY,
    Run,
    interrupt,
    run_module,
    run_script,
    start_script,
    write_stripes,
)
from tests.sounds import write_collection

pytestmark = pytest.mark.slow  # whole commands, or as long as these

FILES = {
    "model.pth", "model.onnx", "model_card.md", "report.html", "metrics.json", "metrics.txt",
    "predictions.csv", "history.csv", "split.csv", "config.yaml", "confusion_matrix.png",
    "per_class_accuracy.png", "top_confusions.png", "reliability.png", "embedding_map.png",
    "curves.png", "tensorboard",
}  # fmt: skip


def rows(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_a_run_writes_every_file_and_learns(trained: Run) -> None:
    assert {path.name for path in trained.folder.iterdir()} == FILES
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 2 * metrics["test"]["majority_baseline"]
    assert metrics["test_recordings"]["n"] * 2 == metrics["test"]["n"]  # two clips each
    first = trained.stdout.splitlines()[0]
    assert first.startswith("test_efficientnet, random weights, cpu, ")


def test_metrics_follow_from_the_predictions_file(trained: Run) -> None:
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    test = [r for r in rows(trained.folder / "predictions.csv") if r["split"] == "test"]
    right = np.mean([r["label"] == r["predicted"] for r in test])
    assert metrics["test"]["accuracy"] == pytest.approx(right)
    counts = np.array(metrics["test"]["confusion_matrix"])
    assert counts.sum() == len(test)
    assert counts.trace() == sum(r["label"] == r["predicted"] for r in test)


def test_every_picture_is_held_out_once_and_no_group_straddles(trained: Run) -> None:
    split = rows(trained.folder / "split.csv")
    held_out = rows(trained.folder / "predictions.csv")
    assert sorted(r["path"] for r in split) == sorted(r["path"] for r in held_out)
    parts: dict[str, set[str]] = {}
    for row in split:
        parts.setdefault(row["group"], set()).add(row["split"])
    assert all(len(part) == 1 for part in parts.values())
    assert {r["path"]: r["split"] for r in split} == {r["path"]: r["split"] for r in held_out}


def test_the_report_stands_alone(trained: Run) -> None:
    page = (trained.folder / "report.html").read_text(encoding="utf-8")
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert f"{100 * metrics['test_recordings']['accuracy']:.1f}&nbsp;%" in page
    assert page.count('<svg role="img"') == 4  # precision-recall, reliability, embeddings, curves
    assert "http://" not in page and "https://" not in page
    for name in ("high", "low", "middle"):
        assert f"<td>{name}</td>" in page


def test_two_runs_with_one_seed_give_the_same_metrics(
    stripes: Path, trained: Run, tmp_path: Path
) -> None:
    """Fed back its own config.yaml, from another folder."""
    config = trained.folder.resolve() / "config.yaml"
    again = run_script("main.py", "--config", config, "--out", tmp_path, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    first, second = (
        json.loads((folder / "metrics.json").read_text())
        for folder in (trained.folder, tmp_path / "latest")
    )
    first.pop("seconds"), second.pop("seconds")
    assert first == second
    split = (trained.folder / "split.csv").read_text()
    assert (tmp_path / "latest" / "split.csv").read_text() == split


def test_the_split_is_accepted_back(stripes: Path, trained: Run, tmp_path: Path) -> None:
    """Another seed would split differently; the file decides."""
    split = trained.folder / "split.csv"
    done = run_script(
        "main.py", "--data", stripes, "--split", split, "--seed", 7, "--out", tmp_path,
        *TINY, *SHORT, "--epochs", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "latest" / "split.csv").read_text() == split.read_text()


def test_repeats_hold_every_picture_out_so_often(stripes: Path, tmp_path: Path) -> None:
    done = run_script("main.py", "--data", stripes, "--repeats", 2, "--out", tmp_path, *TINY,
                      *SHORT, "--epochs", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    split = rows(tmp_path / "latest" / "split.csv")
    assert {r["split_2"] for r in split} == {"1", "2", "test"}
    held_out = [r for r in rows(tmp_path / "latest" / "predictions.csv") if r["split"] != "test"]
    assert {r["split"] for r in held_out} == {"1", "2", "3", "4"}
    assert len(held_out) == 2 * sum(r["split"] != "test" for r in split)


def test_leaving_one_group_out_trains_a_fold_for_each(tmp_path: Path) -> None:
    folder = write_stripes(tmp_path / "music", n_recordings=3)
    done = run_script("main.py", "--data", folder, "--leave-one-group-out", "--out",
                      tmp_path / "runs", *TINY, "--epochs", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    split = rows(tmp_path / "runs" / "latest" / "split.csv")
    folds = {r["split"]: {other["group"] for other in split if other["split"] == r["split"]}
             for r in split if r["split"] != "test"}  # fmt: skip
    assert len(folds) >= 6 and all(len(groups) == 1 for groups in folds.values())


def test_a_leak_check_says_so_and_leaves_no_run(stripes: Path, tmp_path: Path) -> None:
    done = run_script("main.py", "--data", stripes, "--leak-check", "--out", tmp_path, *TINY)
    assert done.returncode == 0, done.stderr
    assert "points of accuracy (95 % interval" in done.stdout.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_learning_rate_moves(stripes: Path, tmp_path: Path) -> None:
    """A rate too high to improve: after a stale epoch, of either fold, it must be lowered."""
    done = run_script(
        "main.py", "--data", stripes, "--out", tmp_path, *TINY, *SHORT, "--learning-rate", 30,
        "--epochs", 6, "--plateau-patience", 0, "--patience", 6,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    history = rows(tmp_path / "latest" / "history.csv")
    rates = [float(r["learning_rate"]) for r in history if r["fold"] in "12"]
    assert rates[0] == 30
    assert min(rates) == pytest.approx(30 * 0.1 ** round(-np.log10(min(rates) / 30)))
    assert min(rates) < 30


def test_unreadable_pictures_are_named_and_left_out(tmp_path: Path) -> None:
    folder = write_stripes(tmp_path / "music", n_recordings=4)
    (folder / "low" / "note.png").write_text("a text file")
    for n in range(30):
        (folder / "low" / f"note {n:02}.png").write_text("another")
    done = run_script("main.py", "--data", folder, "--out", tmp_path / "runs", *TINY, *SHORT,
                      "--epochs", 1)  # fmt: skip
    assert done.returncode == 3
    assert "note 00.png: not a picture" in done.stdout
    assert done.stdout.count("not a picture") == 10
    assert f"left out: 21 more; python -m data.audit {folder} names them all" in done.stdout
    named = run_module("data.audit", folder)
    assert named.stdout.count("not a picture") == 31 and "note.png" in named.stdout
    assert "Traceback" not in done.stderr


def test_other_peoples_pictures_train_unchanged(tmp_path: Path) -> None:
    """Large JPEGs, palette, grey, 16-bit, RGBA and CMYK pictures of several sizes in one folder."""
    folder = write_stripes(tmp_path / "music", n_recordings=4, n_clips=1)
    modes = ["L", "P", "RGBA", "CMYK", "I;16", "RGB"]
    for i, path in enumerate(sorted(folder.glob("*/*.png"))):
        image = Image.open(path).resize((96 + 50 * (i % 3), 48 + 20 * (i % 2)))
        mode = modes[i % len(modes)]
        path.unlink()
        if mode == "I;16":
            grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
            Image.fromarray(grey).save(path)
        elif mode == "CMYK":
            image.convert("CMYK").save(path.with_suffix(".jpg"))
        else:
            image.convert(mode).save(path.with_suffix(".webp" if mode == "RGB" else ".png"))
    done = run_script("main.py", "--data", folder, "--out", tmp_path / "runs", *TINY, *SHORT,
                      "--epochs", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "note: pictures have 6 sizes" in done.stdout


def bad_inputs(tmp_path: Path) -> dict[str, tuple[list[str], int, str]]:
    """Arguments, exit code and a part of the one line, by name."""
    one_class = tmp_path / "one"
    (one_class / "jazz").mkdir(parents=True)
    Image.new("RGB", (32, 24)).save(one_class / "jazz" / "a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "songs" / "jazz").mkdir(parents=True)
    for name in ("a", "b"):
        (tmp_path / "songs" / "jazz" / f"{name}.mp3").touch()  # none is opened
    return {
        "missing": (["--data", str(tmp_path / "no")], 1, "no image folder at"),
        "empty": (["--data", str(tmp_path / "empty")], 1, "has no class folders"),
        "one class": (["--data", str(one_class)], 1, "pictures of one class, jazz"),
        "songs": (["songs"], 1, "has recordings of one class, jazz; expected"),
        "package": (["--data", str(ROOT / "data")], 1, "put images in spectrograms/"),
        "backbone": (["--model", "resnett50"], 1, "did you mean resnet50"),
        "accelerator": (["--accelerator", "cuda"], 1, "--accelerator cuda"),
        "resume": (["--resume", str(tmp_path / "no")], 1, "no interrupted run"),
        "split": (["--split", str(tmp_path / "no.csv"), *TINY], 1, "no split file"),
        "nothing": ([*TINY, "--epochs", "0"], 2, "nothing would be trained"),
        "folds": (["--folds", "1"], 2, "--folds 1"),
        "number": (["--epochs", "many"], 2, "--epochs"),
        "unknown flag": (["--epoch", "3"], 2, "--epoch"),
        "size": (["--image-size", "big"], 2, "--image-size big"),
        "repeats": (["--repeats", "2", "--leave-one-group-out"], 2, "goes with neither --repeats"),
        "leak": (["--leak-check", "--group", "none"], 2, "leave out --group none"),
        "group": (["--group", "composer"], 1, "--group composer"),
    }


BAD_INPUTS = [
    "missing", "empty", "one class", "songs", "package", "backbone", "accelerator", "resume",
    "split", "nothing", "folds", "number", "unknown flag", "size", "repeats", "leak", "group",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_is_one_line_and_its_exit_code(name: str, tmp_path: Path) -> None:
    arguments, code, part = bad_inputs(tmp_path)[name]
    done = run_script("main.py", *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert part in lines[0]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("script", ["main.py", "predict.py"])
def test_help_answers_before_torch_could_be_imported(script: str) -> None:
    start = time.perf_counter()
    done = run_script(script, "--help")
    assert done.returncode == 0
    assert time.perf_counter() - start < 2.5  # 0.2 s alone; torch and timm take 3 s and more
    assert f"python {script}" in done.stdout


def test_an_interrupted_run_goes_on_to_the_same_metrics(
    stripes: Path, trained: Run, tmp_path: Path
) -> None:
    """Ctrl-C in the second fold, then --resume as the last line says."""
    stderr = interrupt(
        start_script("main.py", "--verbose", "--data", stripes, "--out", tmp_path, *TINY, *SHORT),
        "fold 2/2  finetune epoch   2",
    )
    assert "Traceback" not in stderr
    command = stderr.strip().splitlines()[-1].split("python main.py ")[1].split()
    resumed = run_script("main.py", *command)
    assert resumed.returncode == 0, resumed.stderr
    assert "fold 1/2" not in resumed.stdout
    assert "fold 2/2  finetune epoch   1" not in resumed.stdout
    first, second = (
        json.loads((folder / "metrics.json").read_text())
        for folder in (trained.folder, tmp_path / "latest")
    )
    first.pop("seconds"), second.pop("seconds")
    assert first == second


def test_a_folder_of_hostile_names_and_files_is_trained_on_and_what_is_left_out_is_told(
    tmp_path: Path,
) -> None:
    """Nothing in a stranger's name reaches the terminal as more than what can be seen."""
    music = write_stripes(tmp_path / "music", n_recordings=3)
    (music / "high").rename(music / "hi\x1b[31mgh\n\u202e")
    low = music / "low"
    (low / "low0__0.png").rename(low / os.fsdecode(b"low\xff0\n__0.png"))
    (low / "postscript.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    )
    (low / "bomb\x1b.png").write_bytes(png_header(60_000, 60_000))
    (low / "empty.png").touch()
    (low / "folder.png").mkdir()
    os.mkfifo(low / "pipe.png")
    (low / "loop.png").symlink_to("loop.png")
    done = run_script("main.py", music, "--out", tmp_path / "runs", *TINY, "--epochs", "1",
                      "--folds", "2")  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stdout + done.stderr
    assert not set(said) & set("\x1b\u202e\udcff\r")
    for name in ("postscript", "bomb\\u001b", "empty", "pipe", "loop"):
        assert f"{name}.png" in said
    lines = done.stdout.splitlines()
    assert "  hi\\u001b[31mgh\\u000a\\u202e" in done.stdout
    [expected] = [line for line in lines if line.startswith("expected: ")]
    assert re.fullmatch(r"expected: at most [\d,]+ s until the report", expected)
    answer = lines[lines.index(expected) + 4 :]  # behind the table of folds
    assert [line.split()[0] for line in answer] == [
        "test", "to", "validation", *["no"] * (len(answer) - 5), "report:", "predict:",
    ]  # fmt: skip


def test_the_config_file_holds_every_option(trained: Run) -> None:
    options = yaml.safe_load((trained.folder / "config.yaml").read_text())
    assert options["model"] == "test_efficientnet"
    assert options["epochs"] == 10
    assert options["pretrained"] is False
    assert options["seed"] == 123


def test_the_demo_is_learnt_far_above_the_baseline(tmp_path: Path) -> None:
    """Real music, real ImageNet weights, no hub: over twice the majority baseline, as promised."""
    done = run_script("main.py", "--finetune", "none", "--out", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith("tf_efficientnet_lite0, bundled ImageNet weights, ")
    metrics = json.loads((tmp_path / "latest" / "metrics.json").read_text())
    assert metrics["cross_validation"]["accuracy_mean"] > 0.5  # four classes of equal size
    assert metrics["test"]["accuracy"] > 2 * metrics["test"]["majority_baseline"]


def test_songs_are_drawn_and_trained_on_by_one_command(tmp_path: Path) -> None:
    """And a second time nothing is drawn again; the audit names that command."""
    write_collection(tmp_path / "music", n_recordings=4, seconds=3)
    command = ("main.py", "music", "--clip-seconds", 1, "--preset", "none", *TINY, *SHORT)
    alike = ("--duplicates", "ignore")  # notes are few
    first = run_script(*command, *alike, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "music holds recordings: drawing them as mel spectrograms into spectrograms/music" in (
        first.stdout
    )
    assert "spectrograms/music: 24 pictures rendered; 0 of 8 recordings" in first.stdout
    assert (tmp_path / "runs/latest/model.pth").is_file()
    again = run_script(*command, *alike, "--find-rate", cwd=tmp_path)
    assert "0 pictures rendered; 8 of 8 recordings were complete already" in again.stdout
    answer = run_script("predict.py", "music/high/high0.wav", cwd=tmp_path)  # by runs/latest
    assert answer.returncode == 0, answer.stderr


def test_a_folder_of_songs_in_place_of_pictures_is_answered_with_the_command(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path / "music", n_recordings=1, seconds=1)
    with pytest.raises(ValueError, match=r"but 2 recordings: python main\.py .*/music draws them"):
        scan(tmp_path / "music")


def test_a_typing_error_in_an_option_is_answered_with_the_nearest(tmp_path: Path) -> None:
    done = run_script("main.py", "--epoch", 3)
    assert done.returncode == 2
    assert "no option --epoch; did you mean --epochs?" in done.stderr
