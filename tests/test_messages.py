"""What a newcomer types wrong is answered with the next thing to type."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.cli import make_parser
from common.files import check_regular, near
from data.config import DataConfig, check_given
from data.image_folder import scan
from data.split_file import read_split
from data.tabular.table import read_table
from inference.config import PredictConfig
from inference.inputs import values_as_files
from inference.predictor import Predictor
from render.sources.folders import from_folders
from tests.helpers import ROOT
from tests.sounds import write_sound
from train.models.facts import ModelFacts
from train.run_folder import existing_model


def said(call: Callable[[], object]) -> str:
    with pytest.raises((ValueError, OSError)) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_mistyped_path_is_answered_with_the_one_that_exists(tmp_path: Path) -> None:
    (tmp_path / "MUSIC").mkdir()
    (tmp_path / "song.mp3").touch()
    assert near(tmp_path / "MUSICC") == f"; did you mean {tmp_path / 'MUSIC'}?"
    assert near(tmp_path / "other") == near(tmp_path / "no/folder") == ""
    for call in (
        lambda: check_given(DataConfig(data=str(tmp_path / "MUSICC"))),
        lambda: existing_model(tmp_path / "MUSIK"),
        lambda: check_regular(tmp_path / "MUSI"),
    ):
        assert said(call).endswith(f"; did you mean {tmp_path / 'MUSIC'}?")


def test_one_song_or_picture_is_not_trained_on(tmp_path: Path) -> None:
    for name in ("song.flac", "a.PNG"):
        (tmp_path / name).touch()
        line = said(lambda name=name: check_given(DataConfig(data=str(tmp_path / name))))
        assert "one file" in line and f"python predict.py {tmp_path / name}" in line


def test_songs_without_class_folders_are_told_where_these_are_expected(tmp_path: Path) -> None:
    music = tmp_path / "MUSIC"
    (music / "blues").mkdir(parents=True)
    write_sound(music / "blues/a.wav", "low", 0.5, 0)
    line = said(lambda: from_folders(music / "blues"))
    assert "1 recording there, in no class folder" in line
    assert f"one folder for each class, as {music}" in line
    shutil.move(music / "blues/a.wav", music)
    assert "one folder for each class" in said(lambda: from_folders(music))


def test_one_class_is_answered_with_the_folder_of_all(image_folder: Path, tmp_path: Path) -> None:
    blues = image_folder / "blues"
    assert said(lambda: scan(blues)).endswith(f"one class of those in {image_folder}: give that")
    shutil.copytree(blues, tmp_path / "alone")
    assert "one class of" not in said(lambda: scan(tmp_path / "alone"))


def test_a_table_that_is_none_is_told_apart(tmp_path: Path) -> None:
    readme, split = tmp_path / "README.md", tmp_path / "split.csv"
    readme.write_text("Songs, labels\n\nMusic, labels, pictures\nmore\n")
    assert "expected a table of features: a CSV" in said(
        lambda: read_table(readme, "label", "group")
    )
    split.write_text("path,label,split\na.png,a,train\nb.png,b,test\n")
    assert f"main.py FOLDER --split {split}" in said(lambda: read_table(split, "label", "group"))


def test_a_split_that_is_none_is_told_why(image_folder: Path, tmp_path: Path) -> None:
    examples, file = scan(image_folder), tmp_path / "split.csv"
    given = DataConfig(data=str(image_folder), split=str(tmp_path))
    assert "is a folder; expected a CSV" in said(lambda: check_given(given))
    file.touch()
    assert "it has no line" in said(lambda: read_split(file, examples))
    file.write_text("path,split\nmine/a.png,test\n")
    line = said(lambda: read_split(file, examples))
    assert f"paths start there, as {examples.paths[0]}" in line


REFUSED = """
import json, sys
import main, train.compare.__main__ as compare
for script, *words in json.loads(sys.argv[1]):
    sys.argv = ["main.py", *words]
    try:
        (main if script == "main" else compare).main()
    except ValueError as error:
        print(error)
print({"torch", "torchvision"} & set(sys.modules))
"""


def write_run(folder: Path, part: str) -> Path:
    """What tells the split of a run: one picture that is in this part of it."""
    folder.mkdir()
    for name in ("model.pth", "metrics.json"):
        (folder / name).touch()
    line = f"path,label,group,split,predicted,low\nlow/a.png,low,a,{part},low,1.0\n"
    (folder / "predictions.csv").write_text(line)
    return folder


def test_what_cannot_be_trained_on_is_refused_before_torch_is_imported(
    image_folder: Path, tmp_path: Path
) -> None:
    """Its import takes from three seconds to twenty: by then who mistyped a path has gone."""
    empty, readme, split = (tmp_path / name for name in ("empty.csv", "README.md", "split.csv"))
    empty.touch()
    readme.write_text("Songs, labels\n\nMusic, labels, pictures\nmore\n")
    shutil.copytree(image_folder / "blues", tmp_path / "alone/blues")
    split.write_text("path,split\nmine/a.png,test\n")
    shutil.copytree(image_folder, tmp_path / "kaggle/images")
    (tmp_path / "pictures.zip").write_bytes(b"PK")
    shutil.copytree(image_folder / "jazz", tmp_path / "flat/all pictures")
    for name in ("a", "b"):
        (tmp_path / f"Data/songs/{name}").mkdir(parents=True)
        (tmp_path / f"Data/songs/{name}/x.mp3").touch()
    expected = {
        ("main", str(empty)): "is empty",
        ("main", str(readme)): "expected a table of features",
        ("main", str(tmp_path / "alone")): "pictures of one class, blues",
        ("main", str(image_folder / "blues")): "is one class of those",
        (
            "main",
            str(tmp_path / "kaggle"),
        ): f"if they are the classes, give {tmp_path}/kaggle/images",
        ("main", str(tmp_path / "Data")): f"if they are the classes, give {tmp_path}/Data/songs",
        ("main", str(image_folder), "--split", str(split)): "paths start there",
        ("main", str(image_folder), "--split", str(readme)): "needs the columns path and split",
        ("compare", *(str(write_run(tmp_path / part, part)) for part in ("1", "test"))): (
            "1 groups are not in the same part (a)"
        ),
    }
    command = [sys.executable, "-c", REFUSED, json.dumps(list(expected))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *lines, imported = done.stdout.splitlines()
    assert imported == "set()"
    for line, words in zip(lines, expected.values(), strict=True):
        assert words in line


def test_a_run_folder_stands_for_its_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("top: 3\n")
    parser = make_parser("python tea.py", "", PredictConfig)
    assert parser.parse_args(["--config", str(tmp_path)]).top == 3
    with pytest.raises(SystemExit):
        parser.parse_args(["--config", str(tmp_path / "confg.yaml")])
    assert f"no such file; did you mean {tmp_path / 'config.yaml'}?" in capsys.readouterr().err


def test_values_that_are_no_samples_are_told_what_they_may_be(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"None is no path, PIL image or samples"):
        list(values_as_files([None], 22050).__enter__())  # type: ignore[list-item]
    for shape in ((4, 6, 3), (4, 6)):
        pixels = np.zeros(shape, np.uint8)
        line = said(lambda pixels=pixels: values_as_files([pixels], None).__enter__())
        assert line.endswith("for a picture: model(Image.fromarray(pixels))")
    line = said(lambda: values_as_files([np.zeros(9)], "22050").__enter__())  # type: ignore[arg-type]
    assert line.startswith("sr='22050': samples need their rate in Hz")


class Forest:
    """A network of tables."""

    batch_size = 4

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        return np.zeros((len(inputs), 2))


def test_a_model_of_tables_says_that_it_takes_no_songs(tmp_path: Path) -> None:
    facts = ModelFacts("random_forest", "table", ("a", "b"), ("tempo", "energy"), 1.0)
    song = write_sound(tmp_path / "song.wav", "low", 0.5, 0)
    line = said(lambda: Predictor(facts, Forest())(str(song)))
    assert "answers rows of a CSV with the columns tempo, energy" in line


def test_a_word_behind_an_option_is_told_to_stand_before_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = make_parser("python tea.py", "", PredictConfig)
    parser.add_argument("verb")
    parser.add_argument("arguments", nargs="*")
    with pytest.raises(SystemExit):
        parser.parse_args(["scan", "--top", "2", "MUSIC"])
    line = capsys.readouterr().err
    assert "MUSIC is one word too many, or stands behind an option: give it before all" in line
