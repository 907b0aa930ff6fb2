"""Labels from the tags and the playlists that a collection has; albums stay on one side."""

import os
from pathlib import Path

import mutagen
import pytest

from render import RenderSettings
from render.audio.clips import ClipSettings
from render.audio.tags import SongTags, read_tags
from render.collection import render_folder
from render.output.clip_table import read_rows
from render.parallel import Workers
from render.sources.folders import from_folders, named
from render.sources.labels import SourceSettings, find_recordings
from render.sources.own_labels import by_artist, groups_of
from tests.sounds import write_sound


def song(file: Path, **tags: str) -> Path:
    write_sound(file, "low", 0.5, seed=0)
    opened = mutagen.File(file, easy=True)
    for name, value in tags.items():
        opened[name] = value
    opened.save()
    return file


def test_genres_are_labels_in_their_commonest_spelling(tmp_path: Path) -> None:
    for i, genre in enumerate(("Hip-Hop", "Hip-Hop", "hip hop", "Jazz", "")):
        song(tmp_path / f"{i}.flac", **({"genre": genre} if genre else {}), artist=f"a{i % 2}")
    found = find_recordings(tmp_path, SourceSettings(labels="tags"))
    assert [recording.label for recording in found.recordings] == ["Hip-Hop"] * 3 + ["Jazz"]
    assert [recording.group for recording in found.recordings] == ["artist a0", "artist a1"] * 2
    assert found.notes == ("left out: 1 without a genre in their tags",)
    (tmp_path / "none").mkdir()
    write_sound(tmp_path / "none/a.wav", "low", 0.5, seed=0)
    with pytest.raises(ValueError, match="has a genre in its tags"):
        find_recordings(tmp_path / "none", SourceSettings(labels="tags"))


def test_playlists_are_labels(tmp_path: Path) -> None:
    for name in "abcd":
        song(tmp_path / "music" / f"{name}.flac", album="One", artist="x")
    lists = tmp_path / "lists"
    lists.mkdir()
    lines = f"#EXTM3U\n../music/a.flac\n{tmp_path}/music/b.flac\n../music/gone.flac\n"
    (lists / "calm.m3u8").write_text(lines)
    (lists / "loud.m3u").write_text("../music/c.flac\n../music/b.flac\n")
    found = find_recordings(tmp_path, SourceSettings(labels="playlists"))
    assert [(r.path.name, r.label) for r in found.recordings] == [
        ("a.flac", "calm"),
        ("c.flac", "loud"),
    ]
    assert found.notes == (
        f"left out: 1 in several playlists, 1 listed, but no recordings below {tmp_path}",
    )
    with pytest.raises(ValueError, match="no M3U playlist"):
        find_recordings(tmp_path / "music", SourceSettings(labels="playlists"))


def test_no_album_and_no_artist_is_on_two_sides() -> None:
    said = {
        "one/1": SongTags(artist="A", album="One"),
        "one/2": SongTags(artist="a", album="One"),
        "two/1": SongTags(artist="A", album="Two"),
        "mix/1": SongTags(artist="B", album="Best of all"),
        "mix/2": SongTags(artist="C", album="Best of all"),
        "x/1": SongTags(),
    }
    groups = groups_of({Path(path): tags for path, tags in said.items()})
    a, also_a, still_a, b, c, x = groups.values()
    assert a == also_a == still_a == "artist a"
    assert b == c == "album Best of all in mix"
    assert x == ""


def test_all_genres_and_all_playlists_are_labels_where_songs_may_have_several(
    tmp_path: Path,
) -> None:
    song(tmp_path / "a.flac", genre="Rock; Jazz", artist="x")
    two = mutagen.File(song(tmp_path / "b.flac", artist="y"), easy=True)
    two["genre"] = ["jazz", "Folk", "JAZZ"]
    two.save()
    song(tmp_path / "c.flac", genre="Jazz", artist="z")
    (tmp_path / "calm.m3u").write_text("a.flac\nb.flac\n")
    (tmp_path / "loud.m3u").write_text("b.flac\n")
    by_tags = find_recordings(tmp_path, SourceSettings(labels="tags", several_labels=True))
    assert [r.classes for r in by_tags.recordings] == [
        ("Rock", "Jazz"),
        ("Jazz", "Folk"),
        ("Jazz",),
    ]
    assert all(r.label == r.labels[0] for r in by_tags.recordings)
    by_list = find_recordings(tmp_path, SourceSettings(labels="playlists", several_labels=True))
    assert [r.labels for r in by_list.recordings] == [("calm",), ("calm", "loud")]
    with pytest.raises(ValueError, match="--several-labels goes with --labels tags or playlists"):
        find_recordings(tmp_path, SourceSettings(several_labels=True))


def collection(root: Path, artists: dict[str, list[str]]) -> Path:
    """MUSIC/<class>/<song>.flac, a song for each of the artists that are listed."""
    for kind, names in artists.items():
        for i, artist in enumerate(names):
            song(root / kind / f"{kind}{i}.flac", **({"artist": artist} if artist else {}))
    return root


def test_songs_of_class_folders_are_grouped_by_the_artists_of_their_tags(tmp_path: Path) -> None:
    """Rock's ten songs of three bands were ten groups: each band was on both sides of the split."""
    artists = {"jazz": ["Ella", "Miles", "ella", "", "Bix", "Duke"], "rock": [*"ABCDE", "A"]}
    found = from_folders(collection(tmp_path, artists))
    grouped, [note] = by_artist(found)
    assert [r.group.removeprefix("artist ") for r in grouped] == [
        "ella", "miles", "ella", "", "bix", "duke", "a", "b", "c", "d", "e", "a",
    ]  # fmt: skip
    assert (
        "no album and no artist of the tags is on two sides" in note and "--group recording" in note
    )


@pytest.mark.parametrize(
    ("rock", "said"),
    [
        (["Can", "Can", "Neu!", "Neu!", "Can"], "class rock has 2 artists or albums"),
        (["Can", "Neu!", "Faust", "Amon", "Guru"], ""),
        (["Various Artists", "various", "Unknown Artist", "", ""], ""),
    ],
)
def test_artists_that_cannot_be_told_apart_group_nothing(
    tmp_path: Path, rock: list[str], said: str
) -> None:
    found = from_folders(collection(tmp_path, {"jazz": [*"abcde"], "rock": rock}))
    grouped, notes = by_artist(found)
    assert grouped == found
    assert bool(notes) == bool(said) and said in "".join(notes)


def test_new_groups_draw_nothing_anew(tmp_path: Path) -> None:
    """A library that was drawn by recording takes hours; its pictures are the same."""
    music = collection(tmp_path / "music", {"a": [*"xxyzvw"]})
    settings = RenderSettings(clip_seconds=0.5, n_fft=512, n_mels=16)
    out = tmp_path / "out"
    by_name = list(named(from_folders(music)))
    assert render_folder(by_name, out, settings, ClipSettings(), Workers(jobs=1)).made == 6
    grouped = list(named(by_artist(from_folders(music))[0]))
    assert render_folder(grouped, out, settings, ClipSettings(), Workers(jobs=1)).made == 0
    rows = read_rows(out / "clips.csv")
    assert [row["group"] for row in rows] == [f"artist {name}" for name in "xxyzvw"]
    assert render_folder(grouped, out, settings, ClipSettings(), Workers(jobs=1)).made == 0


def test_tags_of_what_is_no_whole_file_are_none(tmp_path: Path) -> None:
    """A pipe was waited for, for ever."""
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "empty.mp3").touch()
    whole = song(tmp_path / "a.flac", artist="x").read_bytes()
    for name in ("pipe.mp3", "empty.mp3", "gone.mp3"):
        assert read_tags(tmp_path / name) == SongTags()
    for end in range(0, len(whole), len(whole) // 50):
        (tmp_path / "cut.flac").write_bytes(whole[:end])
        assert read_tags(tmp_path / "cut.flac").artist in ("", "x")
