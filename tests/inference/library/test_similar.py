"""Songs near a song: the same recording said apart, moments, files outside, and what to check."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from inference.library.analysis import Analysis
from inference.library.fingerprint import (
    BANDS,
    COLUMNS,
    fingerprint,
    likeness,
    likeness_of_cuts,
    thumbnail,
)
from inference.library.index import File, Index, IndexedModel
from inference.library.similar import SAME_FINGERPRINT, Embeddings
from inference.prediction import ClipPrediction, Prediction
from render import RenderSettings, pictures_of
from render.audio.tags import SongTags
from tests.helpers import ROOT
from tests.inference.library.helpers import Library
from tests.sounds import SR, notes, write_sound


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


def slow_melody(seed: int) -> np.ndarray:
    """24 s of long notes over hiss that fade in together."""
    rng, t = np.random.default_rng(seed), np.arange(2 * SR) / SR
    played = []
    for _ in range(12):
        hz = 110 * 2 ** (rng.integers(0, 13) / 12)
        tones = [np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 20)]
        played.append(0.1 * sum(tones) * np.exp(-0.3 * t))
    melody = np.concatenate(played)
    return (melody + 0.1 * rng.standard_normal(len(melody))) * np.logspace(-3, 0, len(melody))


def heard_as(file: Path) -> np.ndarray:
    """The fingerprint of a file."""
    settings = RenderSettings(sr=SR, n_fft=512, hop_length=128, n_mels=48, clip_seconds=5.0)
    clips = list(pictures_of(file, settings))
    pictures = [np.asarray(picture.convert("RGB")) for _, _, picture in clips]
    return fingerprint([(start, end) for start, end, _ in clips], [*map(thumbnail, pictures)])


def test_two_melodies_that_fade_in_alike_are_two_recordings(tmp_path: Path) -> None:
    """The rise of the whole is most of what changes in both; an encoding of one is still found."""
    for seed in range(0, 6, 2):
        for i in range(2):
            soundfile.write(tmp_path / f"{i}.wav", slow_melody(seed + i), SR)
        soundfile.write(tmp_path / "0.ogg", slow_melody(seed), SR)
        one, other, encoded = (heard_as(tmp_path / name) for name in ("0.wav", "1.wav", "0.ogg"))
        assert likeness(one, other) < 0.5 and likeness_of_cuts(one, other, 24, 24) < 0.5
        assert likeness(one, encoded) > SAME_FINGERPRINT + 0.1


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


def indexed(file: Path, rows: np.ndarray, differences: np.ndarray | None) -> IndexedModel:
    """An index of embeddings float (n, F), with how the halves of each song differ, or without."""
    with Index(file, create=True) as index:
        model = index.add_model("digest", 0, file, ["a"])
        for i, row in enumerate(rows):
            clip = ClipPrediction(0, 10, "a", 1.0, {"a": 1.0}, None)
            said = Prediction(str(i), "a", 1.0, {"a": 1.0}, timeline=(clip,))
            difference = None if differences is None else differences[i]
            found = Analysis(said, row, np.zeros(16 * 64, np.uint8), None, difference)
            index.add(File(Path(f"/{i:03}"), 0, 0, str(i)), SongTags(), model, found)
    return model


def firsts(file: Path, model: IndexedModel, asked: np.ndarray) -> list[int]:
    """The place of the song that comes first for each embedding."""
    with Index(file) as index:
        embeddings = Embeddings(index, model)
        return [int(embeddings.nearest(one, 1)[0][0]) for one in asked]


def test_what_changes_within_songs_tells_songs_apart_no_longer(tmp_path: Path) -> None:
    """Songs differ in 16 directions, and within every song the music drifts along one of them."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((40, 16)) / 4
    drift = rng.standard_normal((40, 16)) * np.where(np.arange(16) == 3, 1.5, 0.01)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    asked = rows + drift
    known = indexed(tmp_path / "known.db", rows, drift)
    unknown = indexed(tmp_path / "unknown.db", rows, None)
    right = sum(one == i for i, one in enumerate(firsts(tmp_path / "known.db", known, asked)))
    without = firsts(tmp_path / "unknown.db", unknown, asked)
    assert right == 40
    assert sum(one == i for i, one in enumerate(without)) < 35
    with closing(sqlite3.connect(tmp_path / "known.db")) as db:
        db.execute("DROP TABLE differences")  # as an earlier version made it
    assert firsts(tmp_path / "known.db", known, asked) == without
    with Index(tmp_path / "known.db") as index:
        assert index.add_model("digest", 0, Path("model.onnx"), ["a"]).id == known.id
        assert index.differences(known, [1, 2]).shape == (0, 0)
    assert firsts(tmp_path / "known.db", known, asked) == without


def test_a_scan_keeps_how_the_halves_of_songs_differ(library: Library, tmp_path: Path) -> None:
    """Low notes that turn high, high ones that turn low, and a song of one clip."""
    music = tmp_path / "turning"
    music.mkdir()
    low, high = (notes(kind, 3, np.random.default_rng(1)) for kind in ("low", "high"))
    soundfile.write(music / "0.wav", np.concatenate([low, high]), SR)
    soundfile.write(music / "1.wav", np.concatenate([high, low]), SR)
    soundfile.write(music / "2.wav", np.concatenate([low, low]), SR)
    write_sound(music / "short.wav", "low", 1, seed=1)
    library.scan(music)
    with Index(library.index) as index:
        (model,) = index.models()
        numbers = {song.file.path.name: song.id for song in index.songs(model)}
        up, down, same = (
            index.differences(model, [numbers[f"{i}.wav"]])[0].astype(float) for i in range(3)
        )
        assert index.differences(model, [numbers["short.wav"]]).shape == (0, 0)
        assert len(index.differences(model, list(numbers.values()))) == 3
        assert up.shape == index.embedding(model, numbers["0.wav"]).shape
    assert up @ down < -0.9 * np.linalg.norm(up) * np.linalg.norm(down)
    assert np.linalg.norm(same) < 0.2 * np.linalg.norm(up)
    (music / "0.wav").unlink()
    library.scan(music)
    with Index(library.index) as index:
        assert len(index.differences(model, list(numbers.values()))) == 2


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
