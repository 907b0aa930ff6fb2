"""Labels from where people have them: CSV, GTZAN, FMA, countries; names; choice and balance."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from common.country import country_of
from common.files import write_bytes
from render import RenderSettings
from render.audio.clips import ClipSettings, all_starts, starts
from render.collection import render_folder
from render.output.check import faults
from render.output.clip_table import read_rows
from render.parallel import Workers
from render.sources import fma
from render.sources.balance import clips_per_recording, share_out
from render.sources.folders import (
    Recording,
    from_csv,
    from_folders,
    from_gtzan,
    named,
    notes_on_groups,
)
from render.sources.labels import SourceSettings, find_recordings
from render.sources.selection import ChoiceSettings, choose
from tests.fma_files import ARTIST_COLUMNS, write_artists, write_tracks
from tests.render_helpers import FLAGS, cli, collection, noise, write


def track(number: int, artist: int, split: str, subset: str, **cells: object) -> dict[str, object]:
    """A row of tracks.csv."""
    named = {f"artist.{name}": cells.pop(name, "") for name in ("latitude", "longitude")}
    named |= {"artist.location": cells.pop("place", ""), "track.genre_top": cells.pop("genre", "")}
    facts = {"artist.id": artist, "set.split": split, "set.subset": subset}
    return {"id": number, **facts, **named}


PARIS = {"latitude": 48.85, "longitude": 2.35, "place": "Paris, France"}
MIDDLE_OF_THE_USA = {"latitude": 39.8283, "longitude": -98.5795}
TRACKS = [
    track(2, 1, "training", "small", genre="Hip-Hop", **PARIS),
    track(3, 1, "training", "medium", genre="Rock", **PARIS),
    track(5, 6, "validation", "small", genre="Rock", place="Berlin, Germany", **MIDDLE_OF_THE_USA),
    track(10, 7, "test", "large", latitude=0, longitude=0, place="Everywhere"),
    track(20, 8, "test", "small", genre="Pop"),
    track(26, 9, "training", "medium", genre="Folk", place="Cagliari/Italy"),
    track(134, 10, "training", "full", genre="Rock"),  # its sound is not there
]
ARTISTS = [
    {
        "artist_id": 8,
        "artist_latitude": "35.680000000000",
        "artist_location": "Tokyo",
        "artist_longitude": "139.690000000000",
        "artist_images": "[{'image_id': '1'}]" * 10_000,
    },
    {"artist_id": 99, "artist_location": "Peru"},
]


@pytest.fixture
def fma_root(tmp_path: Path) -> Path:
    for number in (2, 3, 5, 10, 20, 26):
        write(tmp_path / "fma_small" / "000" / f"{number:06d}.mp3", noise(1.0), format="MP3")
    (tmp_path / "fma_metadata").mkdir()
    write_tracks(tmp_path / "fma_metadata" / "tracks.csv", TRACKS)
    write_artists(tmp_path / "fma_metadata" / "raw_artists.csv", ARTISTS)
    return tmp_path / "fma_small"


def test_the_fixtures_have_the_published_columns(fma_root):
    with (fma_root.parent / "fma_metadata" / "tracks.csv").open(encoding="utf-8") as file:
        header = [next(file).rstrip("\n").split(",") for _ in range(3)]
    assert [len(row) for row in header] == [53, 53, 53] and header[2][0] == "track_id"
    assert len(ARTIST_COLUMNS.split()) == 25


def test_fma_genres_with_artists_as_groups(fma_root):
    found = fma.from_genres(fma_root, fma.metadata_near(fma_root), None, True)
    assert [(r.source, r.label, r.group, r.split) for r in found] == [
        ("000/000002.mp3", "Hip-Hop", "artist1", "training"),
        ("000/000003.mp3", "Rock", "artist1", "training"),
        ("000/000005.mp3", "Rock", "artist6", "validation"),
        ("000/000020.mp3", "Pop", "artist8", "test"),
        ("000/000026.mp3", "Folk", "artist9", "training"),
    ]
    small = fma.from_genres(fma_root, fma.metadata_near(fma_root), "small", False)
    assert [r.label for r in small] == ["Hip-Hop", "Rock", "Pop"] and not small[0].split


def test_fma_mp3s_are_rendered_with_their_split(fma_root, tmp_path):
    found = named(fma.from_genres(fma_root, fma.metadata_near(fma_root), "small", True))
    s = RenderSettings(clip_seconds=0.5, n_fft=512, n_mels=16)
    render_folder(
        list(found), tmp_path / "out", s, ClipSettings(clips_per_recording=1), Workers(jobs=1)
    )
    rows = read_rows(tmp_path / "out" / "clips.csv")
    assert {row["group"]: row["split"] for row in rows} == {
        "artist1": "training",
        "artist6": "validation",
        "artist8": "test",
    }


def test_fma_countries_and_what_is_left_out(fma_root):
    pytest.importorskip("reverse_geocode")
    found, left_out = fma.from_countries(fma_root, fma.metadata_near(fma_root), None, False)
    assert [r.label for r in found] == ["France", "France", "Germany", "Japan", "Italy"]
    assert left_out == Counter({"on a geocoder's default point": 1})


def test_countries_from_the_command_line(fma_root, tmp_path):
    pytest.importorskip("reverse_geocode")
    done = cli(fma_root, "--labels", "country", "--out", tmp_path / "out", *FLAGS, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert "left out: 1 on a geocoder's default point" in done.stdout
    rows = read_rows(tmp_path / "out" / "clips.csv")
    assert {(row["label"], row["group"]) for row in rows} == {
        ("France", "artist1"),
        ("Germany", "artist6"),
        ("Italy", "artist9"),
        ("Japan", "artist8"),
    }


@pytest.mark.parametrize(
    ("cells", "country"),
    [
        (("-33.87", "151.21", ""), "Australia"),
        (("", "", "Reykjavik, Iceland"), "Iceland"),
        (("", "", "London, England"), "United Kingdom"),
        (("37.09024", "-95.712891", "USA"), "United States"),
        (("37.09024", "-95.712891", ""), ""),
        (("", "", "Atlanta, Georgia"), ""),
        (("", "", "France / Japan"), ""),
        (("", "", ""), ""),
        (("91", "0", "my bedroom"), ""),
        (("nan", "nan", "Oslo, Norway"), "Norway"),  # as pandas writes a missing coordinate
        (("nan", "10.7", ""), ""),
        (("10.7", "inf", ""), ""),
    ],
)
def test_country_of(cells, country):
    pytest.importorskip("reverse_geocode")
    found, reason = country_of(*cells)
    assert found == country and bool(reason) != bool(country)


def test_foreign_tracks_csv_is_refused(fma_root):
    (fma_root.parent / "fma_metadata" / "tracks.csv").write_text("track_id,genre\n2,Rock\n")
    with pytest.raises(ValueError, match="three header rows"):
        fma.from_genres(fma_root, fma.metadata_near(fma_root), None, False)


@pytest.mark.parametrize("layout", ["genres_original/{0}/{0}.{1:05d}.wav", "{0}.{1:05d}.wav"])
def test_gtzan_nested_or_flat_with_its_broken_recording(tmp_path, layout):
    for i in (0, 53):
        write(tmp_path / "g" / layout.format("jazz", i), noise(1.0))
    (tmp_path / "g" / layout.format("jazz", 54)).write_bytes(b"\0" * 4000)
    found = list(named(from_gtzan(tmp_path / "g")))
    assert {r.label for r in found} == {"jazz"} and len(found) == 3
    s = RenderSettings(clip_seconds=0.5, n_fft=512, n_mels=16)
    summary = render_folder(found, tmp_path / "out", s, ClipSettings(), Workers(jobs=1))
    assert len(summary.failures) == 1 and "jazz.00054" in summary.failures[0].source


def test_csv_with_groups_and_any_column(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("path,country,group\nx/a.wav,Mali,band\nx/b.wav,Peru,\nx/c.wav,,\n")
    found = list(named(from_csv(path, tmp_path, "country")))
    assert [(r.label, r.group) for r in found] == [("Mali", "band"), ("Peru", "b")]
    with pytest.raises(ValueError, match="has no column label"):
        from_csv(path, tmp_path, "label")


def test_a_csv_in_another_encoding_is_named(tmp_path):
    (tmp_path / "t.csv").write_bytes("path,label\nx.wav,Señor\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"t\.csv cannot be read as CSV in UTF-8"):
        from_csv(tmp_path / "t.csv", tmp_path, "label")


def test_names_are_unique_whatever_the_case_and_safe():
    sources = ["a/x.wav", "b/X.flac", "a/y__z.wav", 'a/q"?.wav']
    names = [r.name for r in named(Recording(Path(s), s, "l") for s in sources)]
    assert len({name.casefold() for name in names}) == 4
    assert "q" in names and "y_z" in names and not any("__" in name for name in names)


def grouped(*sources: str) -> dict[str, str]:
    """{source: its group} of recordings in class folders."""
    files = [Recording(Path(source), source, source.split("/")[0]) for source in sources]
    return {r.source: r.group for r in named(files)}


def test_a_song_under_one_name_in_two_classes_is_one_group():
    """As in a folder of pictures: stems share what a network could remember."""
    songs = ("song_a", "song_b")
    groups = grouped(*(f"{kind}/{song}.wav" for kind in ("drums", "voice") for song in songs))
    assert {source: Path(source).stem for source in groups} == groups
    assert set(grouped("rock/live.mp3", "rock/live.wav").values()) == {"live"}


def test_tracks_that_only_count_are_songs_of_their_own():
    groups = grouped(*(f"{kind}/track{i:02}.mp3" for kind in ("jazz", "rock") for i in range(9)))
    assert len(set(groups.values())) == 18


def test_folders_of_a_split_are_its_parts_and_hold_the_classes(tmp_path):
    for part in ("train", "test"):
        for kind in ("jazz", "rock"):
            for i in range(3):
                write(tmp_path / part / kind / f"{i}.wav", noise(0.1))
    found = list(named(from_folders(tmp_path)))
    assert {(r.split, r.label) for r in found} == {
        (part, kind) for part in ("train", "test") for kind in ("jazz", "rock")
    }
    assert len({r.group for r in found}) == 12
    write(tmp_path / "test" / "unknown.wav", noise(0.1))
    kept = find_recordings(tmp_path, SourceSettings())
    assert len(kept.recordings) == 12 and kept.notes == (
        "left out: 1 recording in no class folder",
    )


def test_slices_in_a_folder_for_each_song_are_one_group():
    songs = ["jazz/Blue", "jazz/Red", "jazz/Sun", "rock/Ace", "rock/Bat", "rock/Cat"]
    groups = grouped(*(f"{song}/{i}.wav" for song in songs for i in range(3)))
    assert {source.rpartition("/")[0] for source in groups} == set(groups.values()) == set(songs)
    [note] = notes_on_groups([Recording(Path(s), s, s.split("/")[0]) for s in groups])
    assert "each folder is taken for one song" in note and "--labels FILE.csv" in note


def test_a_class_with_two_underscores_keeps_its_name_and_its_recordings(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / "audio" / "my__class" / f"{name}.wav", noise(1.0))
    found = list(named(from_folders(tmp_path / "audio")))
    s = RenderSettings(clip_seconds=0.5, n_fft=512, n_mels=16)
    render_folder(found, tmp_path / "out", s, ClipSettings(), Workers(jobs=1))
    rows = read_rows(tmp_path / "out" / "clips.csv")
    assert {(row["label"], row["recording"]) for row in rows} == {
        ("my__class", "one"),
        ("my__class", "two"),
    }
    assert faults(tmp_path / "out") == [] and len(rows) == 4


@pytest.mark.parametrize("other", ["a:b", "a_b "])
def test_two_classes_that_would_share_a_folder_are_refused(other):
    found = [Recording(Path("x.wav"), f"{n}.wav", label) for n, label in enumerate(("a_b", other))]
    with pytest.raises(ValueError, match="a_b"):
        list(named(found))


@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀"])
def test_a_long_name_fits_into_a_file_system(tmp_path, letter):
    (recording,) = named([Recording(Path("x.wav"), f"{letter * 240}.wav", letter * 240)])
    assert recording.name and recording.name == letter * len(recording.name)
    write_bytes(tmp_path / recording.label / f"{recording.name}__000__stretch0.85.png", b"")


def recordings_of(counts: dict[str, int]) -> list[Recording]:
    return [
        Recording(Path(f"{c}/{i}.wav"), f"{c}/{i}.wav", c)
        for c, n in counts.items()
        for i in range(n)
    ]


def test_choice_of_classes():
    found = recordings_of({"a": 5, "b": 3, "c": 1})

    def labels(**choice):
        return sorted({r.label for r in choose(found, ChoiceSettings(**choice), "none", 1)})

    assert labels(min_recordings=3) == ["a", "b"] == labels(max_classes=2)
    assert labels(classes="a, c") == ["a", "c"]
    with pytest.raises(ValueError, match="no recordings of class z"):
        labels(classes="z")
    with pytest.raises(ValueError, match="the largest has 5"):
        labels(min_recordings=9)


def test_balance_down_draws_as_many_of_each_by_seed():
    found = recordings_of({"a": 9, "b": 3})
    drawn = [choose(found, ChoiceSettings(), "down", seed) for seed in (1, 1, 2)]
    assert Counter(r.label for r in drawn[0]) == {"a": 3, "b": 3}
    assert drawn[0] == drawn[1] != drawn[2]


def test_balance_clips_gives_rare_classes_more_of_each(tmp_path):
    root = collection(tmp_path / "audio", {"a": 6, "b": 2}, seconds=4.0)
    found = [Recording(p, p.name, p.parent.name) for p in sorted(root.glob("*/*"))]
    s = RenderSettings(clip_seconds=1.0, n_fft=512)
    counts = clips_per_recording(found, s, ClipSettings(clips_per_recording=2, balance="clips"))
    clips = Counter[str]()
    for r in found:
        clips[r.label] += counts[r.source]
    assert clips == {"a": 12, "b": 12}
    assert share_out(100, {"x": 7, "y": 3}) == {"x": 7, "y": 3}  # never past the room


@pytest.mark.parametrize("at", ["spread", "start", "middle", "random"])
@pytest.mark.parametrize(("total", "count"), [(1000, 3), (250, 3), (100, 3), (50, 1), (1000, 99)])
def test_clips_lie_inside_and_overlap_no_more_than_allowed(at, total, count):
    clip_settings = ClipSettings(at=at, max_overlap=0.5)
    places = starts(total, 100, count, clip_settings, "name")
    assert places == sorted(set(places)) and len(places) <= count
    assert places[0] >= 0 and places[-1] + 100 <= max(total, 100)
    assert all(b - a >= 49 for a, b in pairwise(places))
    assert places == starts(total, 100, count, clip_settings, "name")


def test_all_clips_reach_the_end():
    assert all_starts(250, 100, 100) == [0, 100, 150]
    assert all_starts(200, 100, 100) == [0, 100] and all_starts(50, 100, 100) == [0]


def test_augmented_clips_are_marked_and_keep_the_size(tmp_path):
    write(tmp_path / "a" / "x.wav", noise(2.5))
    found = list(named([Recording(tmp_path / "a" / "x.wav", "a/x.wav", "a")]))
    s = RenderSettings(clip_seconds=1.0, n_mels=32)
    clip_settings = ClipSettings(
        clips_per_recording=1, pitch_shift="-1..1", time_stretch="0.8,1.25"
    )
    render_folder(found, tmp_path / "out", s, clip_settings, Workers(jobs=1))
    rows = read_rows(tmp_path / "out" / "clips.csv")
    marks = {row["augmentation"]: float(row["end_s"]) - float(row["start_s"]) for row in rows}
    assert marks == pytest.approx(
        {"": 1.0, "pitch-1": 1.0, "pitch+1": 1.0, "stretch0.8": 0.8, "stretch1.25": 1.25}, abs=1e-3
    )
    assert len({(tmp_path / "out" / row["path"]).read_bytes() for row in rows}) == 5


def test_rows_of_one_recording_that_disagree_are_no_labels(tmp_path: Path) -> None:
    """Neither the last row nor both is what somebody surely meant."""
    table = tmp_path / "labels.csv"
    table.write_text("path,label\na.mp3,rock\nb.mp3,folk\na.mp3,rock\n")
    assert [one.name for one in named(from_csv(table, tmp_path, "label"))] == ["a", "b"]
    table.write_text("path,label\na.mp3,rock\nb.mp3,folk\na.mp3,jazz\n")
    with pytest.raises(ValueError, match=r"gives a.mp3 other labels .* in one cell, rock;jazz"):
        from_csv(table, tmp_path, "label")


def test_several_labels_of_a_csv(tmp_path: Path) -> None:
    """All songs of a table have several labels if one has; without one, a label is a class."""
    table = tmp_path / "t.csv"
    table.write_text("path,label\na.wav, rock ;jazz;rock\nb.wav,folk\nc.wav,;\n")
    found = list(named(from_csv(table, tmp_path, "label")))
    assert [(r.label, r.labels) for r in found] == [("rock", ("rock", "jazz")), ("folk", ("folk",))]
    table.write_text("path,label\na.wav,rock\nb.wav,folk\n")
    assert [r.labels for r in from_csv(table, tmp_path, "label")] == [(), ()]


def test_labels_that_are_not_chosen_are_taken_from_a_song(tmp_path: Path) -> None:
    songs = [
        Recording(tmp_path / "a", "a", "folk", labels=("folk", "jazz")),
        Recording(tmp_path / "b", "b", "folk", labels=("folk",)),
        Recording(tmp_path / "c", "c", "rock", labels=("rock",)),
    ]
    kept = choose(songs, ChoiceSettings(classes="jazz,rock"), "none", 0)
    assert [(r.source, r.label, r.labels) for r in kept] == [
        ("a", "jazz", ("jazz",)),
        ("c", "rock", ("rock",)),
    ]
    with pytest.raises(ValueError, match="--balance down: songs with several labels"):
        choose(songs, ChoiceSettings(), "down", 0)
