"""A collection of sounds and a model that knows them."""

from pathlib import Path

import pytest

from tests.inference.library.helpers import Library
from tests.sounds import write_sound


@pytest.fixture
def library(
    heard: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Library:
    """An index that is yet to be made, and the command for it."""
    return Library(tmp_path / "library.db", heard / "model.onnx", monkeypatch, capsys)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Six recordings of two classes in folders, three of each, and a file that is none."""
    folder = tmp_path / "music"
    for n in range(6):
        kind = "high" if n % 2 else "low"
        write_sound(folder / kind / f"{n}.flac", kind, 3.0 + n / 2, seed=n)
    (folder / "broken.wav").write_bytes(b"RIFF and then nothing of the kind")
    return folder
