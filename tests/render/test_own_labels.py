"""Labels from the tags and the playlists that a collection has; albums stay on one side."""

from pathlib import Path

import mutagen
import pytest

from render.audio.tags import SongTags
from render.sources.labels import SourceSettings, find_recordings
from render.sources.own_labels import groups_of
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
