"""Playlists, tables and corrections of a library."""

import csv
import shutil
import sys
from pathlib import Path

import pytest

from data.corrections import read_corrections
from render.sources.playlists import playlist_entries
from tests.inference.library.helpers import Library
from tests.inference.library.test_tagging import write_predictions


def test_playlists_lead_to_the_songs_and_move_with_them(
    library: Library, music: Path, tmp_path: Path
) -> None:
    library.scan(music)
    held_out = ("--predictions", write_predictions(tmp_path / "p.csv", lambda _: True))
    for options, folder in (((), tmp_path / "lists"), (("--relative",), music / "lists")):
        assert library("playlists", folder, *held_out, *options)[0] == 0
        listed = {file.resolve() for file in playlist_entries(folder / "low.m3u8")}
        assert listed == {file.resolve() for file in music.glob("low/*.flac")}
    shutil.move(music, tmp_path / "elsewhere")
    assert all(file.is_file() for file in playlist_entries(tmp_path / "elsewhere/lists/high.m3u8"))
    assert not any(file.is_file() for file in playlist_entries(tmp_path / "lists/high.m3u8"))


def test_playlists_of_older_players_are_read(tmp_path: Path) -> None:
    lines = "#EXTM3U\r\n#EXTINF:1,x\r\nsub\\caf\xe9.mp3\r\nfile:///a/b%20c.mp3\r\nhttp://radio\r\n"
    lines += "file://[\r\n"  # which is no address
    (tmp_path / "old.m3u").write_bytes(lines.encode("latin-1"))
    found = list(playlist_entries(tmp_path / "old.m3u"))
    assert found == [tmp_path / "sub" / "caf\xe9.mp3", Path("/a/b c.mp3")]


def test_a_table_has_a_row_for_each_song(
    library: Library, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.scan(music)
    assert "6 songs" in library("export", tmp_path / "t.csv")[1]
    with (tmp_path / "t.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["path"] for row in rows] == [str(file) for file in sorted(music.glob("*/*.flac"))]
    for row in rows:
        assert row["class"] == Path(row["path"]).parent.name
        assert float(row["p_low"]) + float(row["p_high"]) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match=r"ends in \.csv or \.parquet"):
        library("export", tmp_path / "t.xlsx")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match="needs pyarrow"):
        library("export", tmp_path / "t.parquet")


def test_a_parquet_table_holds_the_same(library: Library, music: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    library.scan(music)
    library("export", tmp_path / "t.parquet")
    table = parquet.read_table(tmp_path / "t.parquet").to_pydict()
    assert table["path"] == [str(file) for file in sorted(music.glob("*/*.flac"))]


def test_what_was_said_of_a_song_holds(library: Library, music: Path, tmp_path: Path) -> None:
    model = library.model
    library.model = shutil.copy(model, tmp_path / "model.onnx")  # corrections lie beside it
    library.scan(music)
    song = music / "low" / "0.flac"
    with pytest.raises(ValueError, match="it knows high, low"):
        library("correct", song, "loud")
    assert library("correct", song, "high")[0] == 0
    (said,) = read_corrections(tmp_path / "corrections.csv", ("high", "low"))
    assert (said.label, Path(said.path)) == ("high", song)
    assert library("odd", "high", "--n", "1")[1].split("\t")[1:3] == [str(song), "high 1.00"]
    held_out = ("--predictions", write_predictions(tmp_path / "p.csv", lambda _: True))
    assert f"{song}\tnothing -> high" in library("tag", *held_out)[1]
