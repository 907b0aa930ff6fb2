"""python -m app: limits and wrong use are said in a line, and what visitors sent does not stay."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.config import Limits
from app.service import Service
from inference.predictor import Predictor
from render import RenderSettings
from tests.helpers import ROOT, facts_of_pictures
from tests.sounds import write_sound

PICTURE = str(min((ROOT / "subsampled_data").rglob("*.png")))


class Undecided:
    """A network to which both classes are as likely."""

    batch_size = 4

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        return np.zeros((len(inputs), 2))


def service(limits: Limits) -> Service:
    """A service whose network finds every picture as likely of one class as of the other."""
    render = RenderSettings.from_json((ROOT / "subsampled_data/render.json").read_text())
    return Service(Predictor(facts_of_pictures(64, 32, render=render), Undecided()), limits)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(max_mb=0.01), r"0\.0\d MB; at most 0\.01 MB"),
        (Limits(max_megapixels=0.05), r"0\.06 million pixels; at most 0\.05"),
        (Limits(max_seconds=1e-9), "it took longer than 0 s"),
    ],
)
def test_a_picture_over_a_limit_is_refused(limits: Limits, said: str) -> None:
    assert service(Limits()).answer(PICTURE).probability == 0.5
    with pytest.raises(ValueError, match=said) as error:
        service(limits).answer(PICTURE)
    assert str(Path(PICTURE).parent) not in str(error.value)


def test_a_long_recording_is_refused_and_stopped(tmp_path: Path) -> None:
    song = str(write_sound(tmp_path / "song.wav", "high", 120, seed=1))
    # Over a minute, clips lie side by side.
    assert len(service(Limits()).answer(song).timeline) == 12
    with pytest.raises(ValueError, match=r"song\.wav: longer than 0:30"):
        service(Limits(max_minutes=0.5)).answer(song)
    with pytest.raises(ValueError, match=r"song\.wav: it took longer"):
        service(Limits(max_seconds=0.001)).answer(song)


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 files; at most 2 at a time"):
        service(Limits(max_files=2)).table([PICTURE] * 3, tmp_path / "answers.csv")
    assert len(service(Limits(max_files=2)).table([PICTURE] * 2, tmp_path / "answers.csv")) == 2


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--host", "0.0.0.0"], 2, "add --auth USER:PASSWORD"),
        (["--share"], 2, "add --auth USER:PASSWORD"),
        (["--auth", "me"], 2, "expected USER:PASSWORD"),
        (["--max-files", "0"], 2, "--max-files 0"),
        ([], 1, "no model file at nothing.pth"),
    ],
)
def test_wrong_use_is_one_line(options: list[str], code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "nothing.pth", *options],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_lay_long_enough_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import app.server as server

    example, old = tmp_path / "example.png", tmp_path / "sent" / "old.wav"
    old.parent.mkdir()
    for file in (example, old):
        file.write_bytes(b"x")
    rounds = iter([None, None])

    def sleep(_: float) -> None:
        if next(rounds, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr(server.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        server.sweep(tmp_path, 3600, {example})
    assert old.exists()
    rounds = iter([None, None])
    with pytest.raises(KeyboardInterrupt):
        server.sweep(tmp_path, -1, {example})
    assert example.exists()
    assert not old.parent.exists()
