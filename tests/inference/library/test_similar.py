"""Songs near a song: the same recording said apart, moments, files outside, and what to check."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from inference.library.fingerprint import BANDS, COLUMNS, likeness, likeness_of_cuts
from tests.helpers import ROOT
from tests.inference.library.helpers import Library
from tests.sounds import SR, write_sound


def lines(out: str) -> list[tuple[str, str]]:
    """(kind, name of the file) of each line."""
    cells = [line.split("\t") for line in out.splitlines()]
    return [(score.rpartition(" ")[0], Path(path).name) for score, path, *_ in cells]


def test_copies_and_encodings_come_before_similar_music(library: Library, music: Path) -> None:
    shutil.copy(music / "low" / "2.flac", music / "copy.flac")
    write_sound(music / "encoded.ogg", "low", 4.0, seed=2)
    library.scan(music)
    found = lines(library("similar", music / "low" / "2.flac", "--n", 4)[1])
    assert set(found[:2]) == {("same file", "copy.flac"), ("same recording", "encoded.ogg")}
    assert [kind for kind, _ in found[2:]] == ["similar", "similar"]
    assert {name for _, name in found[2:]} == {"0.flac", "4.flac"}  # the other low ones


def test_a_recording_cut_a_second_later_is_as_alike_as_the_whole_one() -> None:
    """Levels that change every half second, as heard in 30 s and from the second second on."""
    levels = np.random.default_rng(0).uniform(0, 255, (2, BANDS, 60))

    def heard(sound: int, start: float) -> np.ndarray:
        times = start + (np.arange(COLUMNS) + 0.5) / COLUMNS * (30 - start)
        bands = [np.interp(times, np.arange(60) / 2, band) for band in levels[sound]]
        return np.stack(bands).astype(np.uint8).ravel()

    whole, later, other = heard(0, 0), heard(0, 1), heard(1, 0)
    assert likeness(whole, later) < 0.5
    assert likeness_of_cuts(whole, later, 30, 29) > 0.85
    assert likeness_of_cuts(later, whole, 29, 30) > 0.85
    assert likeness_of_cuts(whole, other, 30, 30) < 0.25
    assert likeness_of_cuts(whole, whole, 30, 30) == pytest.approx(1)
    assert likeness_of_cuts(whole, whole, 1, 1) == 0  # too short to tell
    assert likeness_of_cuts(np.zeros_like(whole), whole, 30, 30) == 0


def test_a_file_outside_and_a_moment_of_one(library: Library, music: Path, tmp_path: Path) -> None:
    library.scan(music)
    outside = write_sound(tmp_path / "outside.ogg", "high", 3.5, seed=1)  # as high/1.flac
    first, *others = lines(library("similar", outside)[1])
    assert first == ("same recording", "1.flac")
    assert len(others) == 5
    low, _ = soundfile.read(music / "low" / "4.flac")
    high, _ = soundfile.read(music / "high" / "5.flac")
    joined = tmp_path / "joined.wav"
    soundfile.write(joined, [*low, *high], SR)
    seconds = len(low) / SR
    assert lines(library("similar", f"{joined}@0:01", "--n", 1)[1])[0][1] in (
        "0.flac",
        "2.flac",
        "4.flac",
    )
    assert lines(library("similar", f"{joined}@{seconds + 3}", "--n", 1)[1])[0][1] in (
        "1.flac",
        "3.flac",
        "5.flac",
    )
    shutil.copy(music / "low" / "0.flac", music / "low" / "copy.flac")
    library.scan(music)
    own = lines(library("similar", f"{music / 'low' / '0.flac'}@0:01")[1])
    assert own[0] == ("same file", "copy.flac")
    assert "0.flac" not in [name for _, name in own]
    with pytest.raises(ValueError, match="9:99 is no time; expected less than 60 behind a colon"):
        library("similar", f"{joined}@9:99")
    with pytest.raises(ValueError, match="it has only"):
        library("similar", f"{joined}@9:00")
    with pytest.raises(ValueError, match="no such file"):
        library("similar", tmp_path / "nothing.mp3")


def test_asking_for_similar_songs_imports_no_torch(library: Library, music: Path) -> None:
    library.scan(music)
    script = (
        "import sys; from inference.library.__main__ import main; main(); "
        "slow = {'torch', 'onnxruntime', 'scipy', 'librosa', 'mutagen'}; "
        "print(sorted(slow & set(sys.modules)))"
    )
    words = ["similar", str(music / "low" / "0.flac"), "--index", str(library.index)]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_does_not_belong_is_first(library: Library, music: Path) -> None:
    shutil.move(music / "high" / "1.flac", music / "low" / "1.flac")
    library.scan(music)
    (first, *_) = library("odd", music / "low", "--n", 2)[1].splitlines()
    assert "1.flac" in first
    assert first.startswith("likeness ")
    playlist = music / "list.m3u8"
    playlist.write_text("#EXTM3U\nlow/0.flac\nlow/1.flac\nlow/2.flac\nhttp://radio/stream\n")
    assert "1.flac" in library("odd", playlist)[1].splitlines()[0]
    assert len(library("odd", "high")[1].splitlines()) == 3
    with pytest.raises(ValueError, match="the classes are high, low"):
        library("odd", "loud")


def test_doubtful_songs_and_the_summary(library: Library, music: Path) -> None:
    low, _ = soundfile.read(music / "low" / "0.flac")
    high, _ = soundfile.read(music / "high" / "1.flac")
    n = min(len(low), len(high))
    soundfile.write(music / "both.wav", low[:n] + high[:n], SR)
    library.scan(music)
    ranked = lines(library("doubtful")[1])
    assert {said for said, _ in ranked} == {"gain"}
    gains = [float(line.split("\t")[0].split()[1]) for line in library("doubtful")[1].splitlines()]
    assert gains == sorted(gains, reverse=True)
    out = library("stats")[1]
    assert out.startswith("7 songs, ")
    assert "1 files without an answer" in out
    assert "unknown\t7" in out
