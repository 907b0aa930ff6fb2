"""The index of a library: what is heard, what is noticed, and what a kill leaves."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import onnx
import pytest

from common.files import changing
from inference.library.index import Index
from predict import load
from tests.helpers import ROOT
from tests.inference.library.helpers import Library, answers
from tests.sounds import write_sound


def test_the_index_holds_what_predict_says(library: Library, music: Path) -> None:
    code, out = library.scan(music)
    assert code == 3
    assert "7 recordings" in out
    assert "6 songs answered" in out
    assert "broken.wav" in library.error
    model = load(library.model)
    with Index(library.index) as index:
        (entry,) = index.models()
        songs = list(index.songs(entry))
        assert [path.name for path, _ in index.failures(entry)] == ["broken.wav"]
    assert [song.file.path for song in songs] == sorted(music.glob("*/*.flac"))
    for song in songs:
        alone = model(song.file.path)
        assert song.prediction.label == alone.label == song.file.path.parent.name
        assert song.prediction.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
        assert song.seconds == pytest.approx(alone.timeline[-1].end_s)


def test_a_second_scan_hears_only_what_is_new(library: Library, music: Path) -> None:
    library.scan(music)
    before = answers(library.index)
    assert "0 to hear" in library.scan(music)[1]
    shutil.move(music / "low" / "0.flac", music / "high" / "renamed.flac")
    write_sound(music / "low" / "2.flac", "low", 4.0, seed=99)
    (music / "low" / "4.flac").unlink()
    write_sound(music / "low" / "new.ogg", "low", 4.0, seed=77)
    (music / "high" / "1.flac").touch()
    _, out = library.scan(music)
    assert "2 to hear (1 changed), 2 moved, 1 removed" in out
    after = {Path(bytes(row[0]).decode()).name: row[1:] for row in answers(library.index)}
    assert after.keys() == {"renamed.flac", "1.flac", "3.flac", "5.flac", "2.flac", "new.ogg"}
    assert after["renamed.flac"] == before[3][1:]  # low/0.flac comes after three of high/
    assert after["2.flac"][0] != before[4][1]


def test_a_folder_that_is_gone_or_empty_is_not_forgotten(library: Library, music: Path) -> None:
    """A disk that is not plugged in must not cost hours of listening."""
    library.scan(music)
    before = answers(library.index)
    shutil.move(music, music.with_name("elsewhere"))
    with pytest.raises(ValueError, match="no such folder"):
        library.scan(music)
    music.mkdir()
    with pytest.raises(ValueError, match="the index is left as it is"):
        library.scan(music)
    assert answers(library.index) == before
    music.rmdir()
    assert "0 to hear (0 changed), 7 moved" in library.scan(music.with_name("elsewhere"))[1]


def test_several_models_stand_side_by_side(library: Library, music: Path) -> None:
    library.scan(music)
    _, out = library.scan(music, "--clips", "1")
    assert "7 to hear" in out
    with Index(library.index) as index:
        assert [model.clips for model in index.models()] == [1, 0]
        assert [len(index.numbers(model)) for model in index.models()] == [6, 6]
    assert "0 to hear" in library.scan(music)[1]
    with Index(library.index) as index:  # the last that was scanned with is the default
        assert [model.clips for model in index.models()] == [0, 1]


def scanning(library: Library, music: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "inference.library", "scan", str(music)]
    command += ["--model", str(library.model), "--index", str(library.index)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_scan_goes_on_where_it_was_killed(library: Library, music: Path, tmp_path: Path) -> None:
    process = scanning(library, music)
    while process.poll() is None and not (library.index.exists() and n_songs(library.index)):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    library.scan(music)
    killed = answers(library.index)
    library.index = tmp_path / "undisturbed.db"
    library.scan(music)
    assert killed == answers(library.index)


def n_songs(index: Path) -> int:
    """How many songs an index has that another process is writing."""
    try:
        with closing(sqlite3.connect(index)) as db:
            return int(db.execute("SELECT count(*) FROM songs").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet, or just now
        return 0


def test_two_scans_at_once_are_refused_and_readers_are_not(library: Library, music: Path) -> None:
    library.scan(music)
    with Index(library.index) as index, changing(index.file), index.transaction():
        with pytest.raises(ValueError, match="is being changed by another process"):
            library.scan(music)
        assert library("stats")[0] == 0


def test_what_is_no_index_or_no_such_model_is_said(library: Library, music: Path) -> None:
    with pytest.raises(ValueError, match=r"no index at .*scan MUSIC makes it"):
        library("stats")
    library.index.write_text("something else that is no database at all, and long enough to tell")
    with pytest.raises(ValueError, match="is no index of a library"):
        library("stats")
    library.index.unlink()
    without = library.index.with_name("old.onnx")
    program = onnx.load(library.model)
    assert [output.name for output in program.graph.output] == ["logits", "embeddings"]
    del program.graph.output[1]
    onnx.save(program, without)
    library.model = without
    with pytest.raises(ValueError, match=r"old.onnx gives no embeddings.*train.export"):
        library.scan(music)
    assert load(without)(music / "low" / "0.flac").label == "low"  # for predict.py it will do
    assert not library.index.exists()


@pytest.mark.parametrize(
    "words", [("scan",), ("stats", "more"), ("similar", "a.mp3", "--clips", "2"), ("sing",)]
)
def test_wrong_usage_is_said(library: Library, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as exit_:
        library(*words)
    assert exit_.value.code == 2


def test_names_and_tags_that_are_no_utf8_are_kept(library: Library, music: Path) -> None:
    odd = Path(str(music / "low" / "0.flac").replace("0.flac", "caf\udce9.flac"))
    shutil.move(music / "low" / "0.flac", odd)
    library.scan(music)
    with Index(library.index) as index:
        (entry,) = index.models()
        assert odd in [song.file.path for song in index.songs(entry)]


# What is in a stranger's index, and what is said of it. The view ran for ever, the others ended in
# tracebacks.
ENDLESS = "SELECT 1 AS id UNION ALL SELECT id + 1 FROM models"
HOSTILE = {
    f"DROP TABLE models; CREATE VIEW models AS WITH RECURSIVE models AS ({ENDLESS}) "
    "SELECT id, 'd' AS digest, 0 AS clips, x'61' AS path, '[]' AS classes, 1 AS scan FROM models":
        "its view 'models'",
    "CREATE TRIGGER t AFTER INSERT ON models BEGIN DELETE FROM songs; END": "its trigger 't'",
    "DROP TABLE answers": "its index|no table answers",
    "UPDATE songs SET path = 7 WHERE id = 1": "songs cannot be: path",
    "UPDATE songs SET genres = '[1]'": "songs cannot be",
    "UPDATE answers SET seconds = 9e999": "seconds",
    "UPDATE answers SET probabilities = x'0000c07f0000c07f'": "is none of the model's",
    "UPDATE answers SET label = 'another'": "is none of the model's",
    "UPDATE models SET classes = '{}'": "no list of names",
    "UPDATE embeddings SET embedding = zeroblob(40000000)": "embeddings cannot be",
    "DELETE FROM embeddings WHERE song = 2": "missing in embeddings",
}  # fmt: skip


def test_an_index_that_is_damaged_is_one_line(library: Library, music: Path) -> None:
    library.scan(music)
    with Index(library.index) as index:  # its log is in the file now, which can be copied
        index.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = library.index.read_bytes()
    for statement, what in HOSTILE.items():
        library.index.write_bytes(whole)
        with closing(sqlite3.connect(library.index)) as db:
            db.executescript(statement)
        for verb in (("stats",), ("similar", music / "low" / "0.flac")):
            with pytest.raises(ValueError, match=what):
                library(*verb)
    library.index.write_bytes(whole)
    assert library("stats")[0] == 0
    content = library.index.read_bytes()
    half = len(content) // 2
    library.index.write_bytes(content[:half] + b"\xff" * (len(content) - half))
    with pytest.raises((ValueError, OSError), match=r"library\.db"):
        library("similar", music / "low" / "0.flac")
