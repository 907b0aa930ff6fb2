"""Damaged files through predict: a line for each, no traceback, no hang, nothing left behind."""

import subprocess
import time
from pathlib import Path

import pytest

from predict import LeftOut, load
from tests.damage import damaged
from tests.helpers import run_script
from tests.sounds import write_sound

pytestmark = pytest.mark.slow  # whole commands, or as long as these


@pytest.fixture(scope="module")
def sources(heard: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A song in four formats and a picture."""
    folder = tmp_path_factory.mktemp("sources")
    songs = [write_sound(folder / f"s{x}", "low", 3, 1) for x in (".wav", ".flac", ".ogg", ".mp3")]
    picture = next((heard.parent.parent / "spectrograms/high").glob("*.png"))
    return [*songs, picture]


def test_each_of_200_damaged_files_is_answered_or_named(
    heard: Path, sources: list[Path], tmp_path: Path
) -> None:
    model = load(heard / "model.onnx")
    files = [str(file) for file in damaged(sources, tmp_path, 200)]
    before = sorted(tmp_path.iterdir())
    for file in files:
        started = time.monotonic()
        (result,) = model.predict([file])
        assert time.monotonic() - started < 10, file
        if isinstance(result, LeftOut):
            assert result.path == file
            assert file in result.reason
        elif not result.unsure:
            assert 0 < result.probability <= 1
    assert sorted(tmp_path.iterdir()) == before
    assert model(sources[0]).label == "low"


def test_many_damaged_files_do_not_keep_the_good_ones_from_an_answer(
    heard: Path, sources: list[Path], tmp_path: Path
) -> None:
    bad = damaged(sources, tmp_path, 30, seed=1)
    done = run_script("predict.py", heard / "model.onnx", *bad, sources[0], timeout=100)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    # the MP3 decoder inside libsndfile has notes and warnings of its own on stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    answered = {line.split("\t")[0] for line in done.stdout.splitlines()}
    assert len(answered) + len(lines) == 31
    assert str(sources[0]) in answered


def test_a_pipe_that_never_ends_is_not_read_as_a_file(heard: Path, tmp_path: Path) -> None:
    done = run_script("predict.py", heard / "model.onnx", "/dev/zero", timeout=20)
    assert done.returncode == 1
    assert "/dev/zero" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_nothing_on_standard_input_is_said(heard: Path) -> None:
    import sys

    from tests.helpers import ROOT

    done = subprocess.run(
        [sys.executable, ROOT / "predict.py", heard / "model.onnx", "-"],
        input="", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: -: ")
    assert "empty" in done.stderr
