"""train.report.sounds: a picture's own ten seconds are heard, and a lost recording is silent."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from common.files import write_csv
from train.report.sounds import SR, sounds_of


def test_a_picture_sounds_as_its_part_of_the_recording(tmp_path: Path) -> None:
    """A second of 500 Hz, then one of 2000 Hz: the second clip is heard at 2000 Hz."""
    songs, pictures = tmp_path / "songs", tmp_path / "pictures"
    (songs / "jazz").mkdir(parents=True)
    pictures.mkdir()
    t = np.arange(8000) / 8000
    y = np.concatenate([np.sin(2 * np.pi * hz * t) / 2 for hz in (500, 2000)])
    soundfile.write(songs / "jazz" / "a.wav", y, 8000)
    rows = [["jazz/a__001.png", "jazz/a.wav", "1.0", "2.0"], ["jazz/b__000.png", "b.wav", "0", "1"]]
    write_csv(pictures / "clips.csv", ["path", "source", "start_s", "end_s"], rows)
    sound = sounds_of(pictures, songs)
    uri = sound("jazz/a__001.png")
    assert uri is not None
    heard, sr = soundfile.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert sr == SR
    assert len(heard) == pytest.approx(SR, abs=2)
    assert np.abs(np.fft.rfft(heard)).argmax() == pytest.approx(2000, abs=2)
    assert sound("jazz/b__000.png") is None  # no longer there
    assert sound("jazz/new.png") is None


def test_what_cannot_be_heard_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder of recordings"):
        sounds_of(tmp_path, tmp_path / "songs")
    with pytest.raises(ValueError, match=r"has no clips\.csv that names the recordings"):
        sounds_of(tmp_path, tmp_path)
