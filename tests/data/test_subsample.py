"""python -m data.subsample, run as a person runs it."""

import csv
import os
import subprocess
from pathlib import Path

import pytest

from data.subsample import subsample as copy_some
from tests.helpers import run_module


def subsample(*args: object) -> subprocess.CompletedProcess[str]:
    return run_module("data.subsample", *args)


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def one_line(text: str) -> str:
    """The only line of the text."""
    [line] = text.splitlines()
    return line


def test_n_of_each_class_and_the_same_for_the_same_seed(image_folder: Path, tmp_path: Path) -> None:
    source = contents(image_folder)
    done = subsample(image_folder, tmp_path / "a", "--per-class", 2, "--seed", 5)
    assert (done.returncode, done.stderr) == (0, "")
    assert one_line(done.stdout) == f"6 pictures copied to {tmp_path / 'a'}"
    for target, seed in (("b", 5), ("c", 6)):  # in this process: importing torch takes seconds
        copy_some(image_folder, tmp_path / target, per_class=2, seed=seed)
    copied = contents(tmp_path / "a")
    classes = [path.split("/")[0] for path in sorted(copied)]
    assert classes == ["blues", "blues", "jazz", "jazz", "rock", "rock"]
    assert all(source[path] == copied[path] for path in copied)
    assert copied == contents(tmp_path / "b")
    assert copied.keys() != contents(tmp_path / "c").keys()


def test_rows_of_the_clip_table_and_settings_follow(image_folder: Path, tmp_path: Path) -> None:
    """Without its rows a copy would forget which pictures share an artist."""
    paths = sorted(contents(image_folder))
    rows = [f'{path},"Artist, {path[-8]}"' for path in paths]
    (image_folder / "clips.csv").write_text("\n".join(["path,group", *rows]) + "\n")
    (image_folder / "render.json").write_text('{"sr": 22050}')
    target = tmp_path / "small"
    copied, left_out = copy_some(image_folder, target, per_class=2, seed=1)
    assert len(copied) == 6 and not left_out
    with (target / "clips.csv").open(newline="") as file:
        groups = {row["path"]: row["group"] for row in csv.DictReader(file)}
    assert groups.keys() == {path for path in contents(target) if path.endswith(".png")}
    assert all(group == f"Artist, {path[-8]}" for path, group in groups.items())
    assert (target / "render.json").read_text() == '{"sr": 22050}'


def test_a_smaller_class_is_copied_whole_into_an_empty_folder(
    image_folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "empty"
    target.mkdir()
    (image_folder / "jazz" / "jazz0__0.png").unlink()
    assert len(copy_some(image_folder, target, per_class=100, seed=1)[0]) == 17
    assert contents(target) == contents(image_folder)


def test_a_target_with_files_is_refused_and_left_as_it_is(
    image_folder: Path, tmp_path: Path
) -> None:
    """Old pictures must not mix with new ones: each run would add another random choice."""
    target = tmp_path / "full"
    target.mkdir()
    (target / "mine.txt").write_text("keep")
    refused = subsample(image_folder, target, "--per-class", 2)
    assert refused.returncode == 1
    assert f"{target} exists and is not empty" in one_line(refused.stderr)
    assert contents(target) == {"mine.txt": b"keep"}


def test_a_missing_source_is_one_line_and_makes_no_target(tmp_path: Path) -> None:
    refused = subsample(tmp_path / "nowhere", tmp_path / "new")
    assert refused.returncode == 1
    assert f"no image folder at {tmp_path / 'nowhere'}" in one_line(refused.stderr)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("args", "culprit"),
    [
        (["only-one"], "target"),
        (["a", "b", "--per-class", "0"], "--per-class 0: must be a whole number > 0"),
        (["a", "b", "--per-class", "many"], "--per-class"),
        (["a", "b", "--bogus", "1"], "--bogus"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(args: list[str], culprit: str) -> None:
    wrong = subsample(*args)
    assert wrong.returncode == 2
    assert culprit in one_line(wrong.stderr)
    assert wrong.stdout == ""


def test_a_target_inside_the_source_is_refused(image_folder: Path) -> None:
    """It would be a class of its own in the next scan, of pictures that are there twice."""
    before = contents(image_folder)
    with pytest.raises(ValueError, match="small is inside"):
        copy_some(image_folder, image_folder / "small", per_class=2, seed=1)
    assert contents(image_folder) == before


def test_a_pipe_and_a_device_are_left_out_and_named(image_folder: Path, tmp_path: Path) -> None:
    """Copying /dev/zero never ended."""
    os.mkfifo(image_folder / "blues" / "pipe.png")
    (image_folder / "blues" / "zero.png").symlink_to("/dev/zero")
    copied, left_out = copy_some(image_folder, tmp_path / "small", per_class=100, seed=1)
    assert len(copied) == 18 and len(left_out) == 2
    assert all("a device or a pipe" in reason for reason in left_out)
