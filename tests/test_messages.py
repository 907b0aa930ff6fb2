"""What a newcomer types wrong is answered with the next thing to type."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.cli import make_parser
from common.files import check_regular, near
from data.config import check_given
from inference.config import PredictConfig
from inference.predictor import Predictor
from render.sources.folders import from_folders
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
        lambda: check_given(tmp_path / "MUSICC", None),
        lambda: existing_model(tmp_path / "MUSIK"),
        lambda: check_regular(tmp_path / "MUSI"),
    ):
        assert said(call).endswith(f"; did you mean {tmp_path / 'MUSIC'}?")


def test_one_song_or_picture_is_not_trained_on(tmp_path: Path) -> None:
    for name in ("song.flac", "a.PNG"):
        (tmp_path / name).touch()
        line = said(lambda name=name: check_given(tmp_path / name, None))
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
