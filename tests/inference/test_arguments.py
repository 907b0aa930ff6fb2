"""Which of the arguments of predict.py is the model."""

from pathlib import Path

import pytest

from inference.inputs import model_and_inputs


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with a finished run as runs/latest."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/latest").mkdir(parents=True)
    (tmp_path / "runs/latest/model.pth").touch()
    return tmp_path


def test_the_model_is_the_first_or_that_of_the_last_run(run: Path) -> None:
    assert model_and_inputs(["m.onnx", "a.mp3", "b.png"]) == ("m.onnx", ["a.mp3", "b.png"])
    assert model_and_inputs(["runs/latest", "a.mp3"]) == ("runs/latest", ["a.mp3"])
    assert model_and_inputs(["a.mp3", "b.png"]) == ("runs/latest/model.pth", ["a.mp3", "b.png"])


def test_swapped_arguments_are_answered_with_the_command_to_type(run: Path) -> None:
    with pytest.raises(ValueError, match=r"python predict\.py m\.pth a\.mp3 b\.mp3"):
        model_and_inputs(["a.mp3", "m.pth", "b.mp3"])
    with pytest.raises(ValueError, match="expected pictures or recordings after it"):
        model_and_inputs(["m.pth"])


def test_without_a_run_the_way_to_one_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"no finished run in runs/latest.*python main\.py"):
        model_and_inputs(["a.mp3"])
