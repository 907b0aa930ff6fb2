"""The Python API refuses what the commands refuse."""

from pathlib import Path

import pytest

import spectrofold
from tests.helpers import Run


def test_a_value_out_of_range_is_named_as_by_the_command() -> None:
    with pytest.raises(ValueError, match="--clip-seconds -1: must be a number > 0"):
        spectrofold.train("nothing", clip_seconds=-1)


def test_a_typo_in_an_option_is_answered_with_the_option() -> None:
    with pytest.raises(TypeError, match="no option epoch; did you mean epochs"):
        spectrofold.train("nothing", epoch=3)


def test_one_path_is_one_file(trained: Run, tmp_path: Path) -> None:
    """Not as many files as it has letters."""
    for file in (tmp_path / "a.png", str(tmp_path / "a.png")):
        (answer,) = spectrofold.predict(trained.folder / "model.onnx", file)
        assert answer.path == str(file)
