"""Genres into the tags of real files of six formats, and out of them again."""

import csv
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from inference.library.journal import delta, restored
from inference.library.tagging import genres_with
from render.audio.tags import SongTags, genres_of, read_tags, retagged
from tests.damage import at_most
from tests.inference.library.helpers import Library
from tests.sounds import write_sound

pytestmark = pytest.mark.slow  # whole commands, or as long as these

FORMATS = ("mp3", "flac", "ogg", "opus", "m4a", "wav")
ENCODERS = {"ogg": ("-c:a", "libvorbis")}
Facts = dict[str, tuple[str, int, int]]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A low and a high sound in six formats, with tags (a genre and a title) and without."""
    folder = tmp_path_factory.mktemp("encoded")
    for kind in ("low", "high"):
        source = folder / f".{kind}.wav"
        write_sound(source, kind, 3.0, seed=len(kind))
        for suffix in FORMATS:
            for name, said in (("bare", ()), ("tagged", ("genre=Old", "title=A song"))):
                command = ["ffmpeg", "-y", "-loglevel", "error", "-i", str(source)]
                command += [*ENCODERS.get(suffix, ()), "-ar", "16000"]
                command += [word for one in said for word in ("-metadata", one)]
                subprocess.run([*command, str(folder / f"{kind}-{name}.{suffix}")], check=True)
    return folder


def facts(folder: Path) -> Facts:
    """SHA-256, size and time of each file."""
    files = sorted(folder.glob("*-*"))
    return {
        file.name: (
            sha256(file.read_bytes()).hexdigest(),
            file.stat().st_size,
            file.stat().st_mtime_ns,
        )
        for file in files
    }


def samples(file: Path) -> bytes:
    """What is heard, by ffmpeg."""
    command = ["ffmpeg", "-loglevel", "error", "-i", str(file), "-f", "s16le", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def write_predictions(file: Path, right: Callable[[int], bool], n: int = 200) -> Path:
    """A run's held-out answers: n songs of each class, the surer the earlier, right or not."""
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["path", "label", "group", "split", "predicted", "high", "low"])
        for label, other in (("high", "low"), ("low", "high")):
            for i in range(n):
                p = 0.999 - 0.49 * i / n
                row = [p, 1 - p] if label == "high" else [1 - p, p]
                true = label if label == "low" or right(i) else other
                rows.writerow([f"{true}/{label}{i}__0.png", true, f"{label}{i}", 1, label, *row])
    return file


def test_files_of_six_formats_come_back_byte_for_byte(
    library: Library, encoded: Path, tmp_path: Path
) -> None:
    music = Path(shutil.copytree(encoded, tmp_path / "music"))
    held_out = ("--predictions", write_predictions(tmp_path / "p.csv", lambda _: True))
    before = facts(music)
    assert len(before) == 24
    heard = {file.name: samples(file) for file in music.glob("*-*")}
    assert library.scan(music)[0] == 0
    code, out = library("tag", "--precision", "0.9", *held_out)
    assert code == 0
    assert "nothing is written" in out
    assert facts(music) == before
    code, out = library("tag", "--precision", "0.9", *held_out, "--write")
    assert (code, library.error) == (0, "")
    tagged = [line for line in out.splitlines() if " -> " in line]
    assert len(tagged) >= 20  # a codec may make one or the other unsure
    for line in tagged:
        file = Path(line.split("\t")[0])
        assert read_tags(file).genres == (file.name.split("-")[0],)
        if file.suffix != ".wav":  # ffmpeg writes titles of these in a way of its own
            assert read_tags(file).title == ("A song" if "tagged" in file.name else "")
        assert samples(file) == heard[file.name]
    assert "0 to hear" in library.scan(music)[1]  # the sound is known
    assert "0 have another genre" in library("tag", "--precision", "0.9", *held_out)[1]
    code, out = library("undo")
    assert code == 0
    assert facts(music) == before
    assert "0 to hear" in library.scan(music)[1]
    assert "0 files are as they were before: nothing is left to undo" in library("undo")[1]


def test_each_tagging_is_undone_by_itself_and_what_changed_since_is_left(
    library: Library, music: Path, tmp_path: Path
) -> None:
    (music / "broken.wav").unlink()
    held_out = ("--predictions", write_predictions(tmp_path / "p.csv", lambda _: True))
    library.scan(music)
    options = ("tag", "--precision", "0.9", *held_out, "--write")
    before = {file: file.read_bytes() for file in music.glob("*/*.flac")}
    assert "6 files tagged" in library(*options)[1]
    first = music / "low" / "0.flac"
    with retagged(first, ["rock"]) as copy:  # by another program
        copy.replace(first)
    code, out = library("undo")
    assert code == 3
    assert "5 files are as they were" in out
    assert "0.flac: changed since it was tagged" in library.error
    assert read_tags(first).genres == ("rock",)
    assert all(file.read_bytes() == old for file, old in before.items() if file != first)
    with retagged(music / "high" / "1.flac", ["pop"]) as copy:
        copy.replace(music / "high" / "1.flac")
    assert library(*options)[0] == 3
    assert "1.flac: changed since it was scanned; scan again" in library.error
    library.scan(music)
    moved = music / "moved.flac"
    shutil.move(music / "low" / "2.flac", moved)
    library.scan(music)
    assert "rock, low" in library(*options, "--add")[1]
    assert library("undo")[0] == 0
    assert read_tags(first).genres == ("rock",)
    assert library("undo", "--all-runs")[0] == 3  # of the first run, 0.flac is another now
    assert moved.read_bytes() == before[music / "low" / "2.flac"]


def test_nothing_is_written_where_nothing_can_be_promised(
    library: Library, music: Path, tmp_path: Path
) -> None:
    """Of the class high every fifth held-out answer is wrong; low is always right."""
    library.scan(music)
    file = write_predictions(tmp_path / "p.csv", lambda i: i % 5 > 0)
    out = library("tag", "--predictions", file)[1]
    assert "high: not promised: 160 of 200 held-out songs right" in out
    assert "low: from probability" in out
    assert "3 of 6 songs" in out
    few = write_predictions(tmp_path / "few.csv", lambda _: True, n=20)
    out = library("tag", "--predictions", few, "--precision", "0.99")[1]
    assert "it takes 299 independent songs even if all are right" in out
    assert "0 of 6 songs" in out
    out = library("tag", "--predictions", few, "--precision", "0.9", "--together")[1]
    assert "all classes: from probability" in out
    with pytest.raises(ValueError, match="no held-out answers at"):
        library("tag", "--predictions", tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("genres", "labels", "add", "after"),
    [
        ((), "hiphop", False, ("hiphop",)),
        (("Hip-Hop",), "hiphop", False, ("Hip-Hop",)),
        (("Rap; Hip Hop",), "hiphop", True, ("Rap; Hip Hop",)),
        (("Rap",), "hiphop", True, ("Rap", "hiphop")),
        (("Rap",), "hiphop", False, ("hiphop",)),
        (("Rap",), "", False, ("Rap",)),
        (("Soul/Hip Hop",), "hiphop soul", False, ("Soul/Hip Hop",)),
        (("Hip-Hop", "Rap"), "soul hiphop", False, ("soul", "Hip-Hop")),
        (("Hip-Hop", "Rap"), "soul hiphop", True, ("Hip-Hop", "Rap", "soul")),
    ],
)
def test_another_spelling_is_no_change(
    genres: tuple[str, ...], labels: str, add: bool, after: tuple[str, ...]
) -> None:
    assert genres_with(genres, labels.split(), add=add) == after


def test_a_file_is_restored_from_any_change() -> None:
    """Bytes moved, changed, added and gone; and a change of another file is refused."""
    rng = np.random.default_rng(0)
    old = rng.bytes(20_000)
    for new in (
        b"", old, b"tag" * 500 + old, old[3000:], old[:5000] + b"x" + old[5001:] + b"end",
        rng.bytes(99),
    ):  # fmt: skip
        assert restored(new, delta(old, new)) == old
        assert restored(old, delta(new, old)) == new
    assert len(delta(old, b"tag" * 500 + old)) < 600
    with pytest.raises(ValueError, match="of another file"):
        restored(old, delta(old, old + b"x"))
    with pytest.raises(ValueError, match="damaged"):
        restored(old, b"nothing of the kind")


def test_a_file_without_readable_tags_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"no sound")
    assert read_tags(tmp_path / "a.mp3") == SongTags()


def test_tags_made_to_harm_are_none(tmp_path: Path) -> None:
    """Atoms in atoms ended a scan in a traceback; 300 kB of ID3 were 300 MB, and 2 GB to write."""
    deep = b""
    for _ in range(5000):
        deep = struct.pack(">I", len(deep) + 8) + b"moov" + deep
    (tmp_path / "deep.m4a").write_bytes(struct.pack(">I", 16) + b"ftypM4A \0\0\0\0" + deep)
    bomb = zlib.compress(b"\3" + b"A" * 300_000_000)
    frame = b"TIT2" + synchsafe(len(bomb) + 4) + b"\0\x09" + synchsafe(2**28 - 1) + bomb
    song = write_sound(tmp_path / "song.mp3", "low", 1.0, seed=0).read_bytes()
    (tmp_path / "bomb.mp3").write_bytes(b"ID3\4\0\0" + synchsafe(len(frame)) + frame + song)
    many = (b"TCON" + synchsafe(3) + b"\0\0\3a\0") * 300_000  # a minute
    escapes = b"\xff\0" * 5_000_000  # 400 MB
    (tmp_path / "many.mp3").write_bytes(b"ID3\4\0\0" + synchsafe(len(many)) + many + song)
    (tmp_path / "esc.mp3").write_bytes(b"ID3\3\0\x80" + synchsafe(len(escapes)) + escapes + song)
    with at_most(100, 20):
        for name in ("deep.m4a", "bomb.mp3", "many.mp3", "esc.mp3"):
            assert read_tags(tmp_path / name) == SongTags()
        with retagged(tmp_path / "bomb.mp3", ["jazz"]) as copy:
            assert read_tags(copy).genres == ("jazz",)
    for act in (genres_of, lambda file: retagged(file, ["jazz"]).__enter__()):
        with pytest.raises(ValueError, match=r"deep\.m4a: its tags cannot be"):
            act(tmp_path / "deep.m4a")
    assert len(list(tmp_path.iterdir())) == 5


def synchsafe(n: int) -> bytes:
    """The number as ID3 writes sizes: seven bits a byte."""
    return bytes(n >> shift & 127 for shift in (21, 14, 7, 0))


@pytest.mark.parametrize("genres", [["x"] * 20_000, ["x" * 200_000]])
def test_a_book_of_tags_is_none(tmp_path: Path, genres: list[str]) -> None:
    """It would be in the index, and on the terminal in every list."""
    file = write_sound(tmp_path / "a.flac", "low", 1.0, seed=0)
    with retagged(file, genres) as copy:
        assert read_tags(copy) == SongTags()
    with retagged(file, genres[:2]) as copy:
        assert (read_tags(copy) == SongTags()) is (len(genres) == 1)
