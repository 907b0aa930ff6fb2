"""bench.similar: how often the nearest song shares a name, beside chance, by hand and by sounds."""

import shutil
from pathlib import Path

import pytest
from mutagen.flac import FLAC

from bench.similar import same_names, sharing
from inference.clips import Cutting
from inference.library.analysis import open_analyser
from tests.sounds import write_sound


def test_a_name_counts_where_another_song_has_it_and_the_nearest_is_known() -> None:
    names = ["x", "x", "y", "", "alone", "y"]
    others = [[1, 2, 3], [2, 0], [3, 5, 1, 0], [2], [0, 1], [1, 0, 2]]
    # x: right, wrong; y: right (the nearest is nobody's), wrong; alone and "" are not asked.
    assert sharing(names, others) == (4, 0.5, pytest.approx((1 / 2 + 1 / 2 + 1 / 3 + 1 / 3) / 4))
    assert sharing(["", "a"], [[1], [0]]) == (0, 0.0, 0.0)


def test_artists_of_one_kind_of_notes_are_near_and_nothing_is_said_of_albums(
    heard: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    songs = [
        write_sound(tmp_path / f"{i}.flac", ("low", "high")[i % 2], 3 + i / 2, seed=i)
        for i in range(6)
    ]
    shutil.copy(songs[0], tmp_path / "copy.flac")  # the same recording is no other song
    songs.append(tmp_path / "copy.flac")
    for i, song in enumerate(songs):
        tags = FLAC(song)
        tags["artist"] = [("Deep", "deep", "HIGH")[i % 2 * 2 + (i == 6)]]
        tags.save()
    analyser = open_analyser(heard / "model.onnx", Cutting())
    same_names(songs, [analyser.analyse(song) for song in songs], tmp_path / "names.db")
    (said,) = capsys.readouterr().out.splitlines()  # nothing of albums, which no tag names
    assert said.startswith("7 recordings of artists that have several: ")
    assert said.endswith("of the same artist in 100.0%, by chance 40.0%")  # 42.9 % with the copy
