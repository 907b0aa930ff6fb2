"""The demo data: its tables agree with its pictures, and its build script does what it says."""

import csv
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from render import RenderSettings
from render.audio.clips import ClipSettings
from render.collection import render_folder
from render.output.clip_table import read_rows
from render.parallel import Workers
from render.sources.folders import Recording, named
from subsampled_data import build
from tests.render_helpers import SR, tone, write

DEMO = Path(build.__file__).parent


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (DEMO / "clips.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_table_and_pictures_are_the_same_set(rows):
    assert sorted(row["path"] for row in rows) == sorted(
        path.relative_to(DEMO).as_posix() for path in DEMO.glob("*/*.png")
    )
    assert all(row["path"].split("/")[0] == row["label"] for row in rows)


def test_four_styles_of_twelve_recordings_of_three_places(rows):
    recordings = {row["recording"]: row["label"] for row in rows}
    assert set(Counter(recordings.values()).values()) == {12}
    assert len(set(recordings.values())) == 4
    places = Counter((row["recording"], row["start_s"]) for row in rows)
    assert set(places.values()) == {1} and len(places) == 3 * 48
    assert all(float(row["end_s"]) - float(row["start_s"]) == pytest.approx(10) for row in rows)
    assert all(row["group"] == row["recording"] and not row["augmentation"] for row in rows)
    assert all(row["artist"] for row in rows)


def test_pictures_have_the_size_of_the_settings_and_none_is_blank(rows):
    settings = RenderSettings.from_json((DEMO / "render.json").read_text())
    assert settings == build.SETTINGS
    for row in rows:
        with Image.open(DEMO / row["path"]) as image:
            assert (image.mode, image.size) == ("P", (settings.width, settings.height))
            levels = np.asarray(image)
        assert levels.max() == 255 and levels.std() > 10, row["path"]


def test_small_enough_and_no_sound():
    files = [path for path in DEMO.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 12_000_000
    assert {path.suffix for path in files} == {".png", ".csv", ".json", ".md", ".py"}


def test_sources_names_title_artist_package_and_licence_of_every_track():
    text = (DEMO / "SOURCES.md").read_text(encoding="utf-8")
    tracks = build.read_tracks()
    assert text == build.sources(tracks)
    for track in tracks:
        line = next(line for line in text.splitlines() if f"| {track['name']} |" in line)
        for fact in ("artist", "package", "licence"):
            assert track[fact] in line


def test_track_names_are_unique():
    names = [track["name"].casefold() for track in build.read_tracks()]
    assert len(set(names)) == len(names) == 48


def test_locate_finds_stems_and_members_of_archives(tmp_path):
    song = write(tmp_path / "a" / "song.ogg", tone(440))
    guitar = write(tmp_path / "a" / "guitar.ogg", tone(880))
    assert build.locate({"path_in_package": "a/song.ogg"}, tmp_path) == [song, guitar]
    with zipfile.ZipFile(tmp_path / "music.pk3", "w") as archive:
        archive.write(song, "cd/track.ogg")
    (member,) = build.locate({"path_in_package": "music.pk3!cd/track.ogg"}, tmp_path)
    assert member.read_bytes() == song.read_bytes()


def test_level_mixes_and_brings_to_one_loudness():
    loud, quiet = tone(440, amplitude=0.9), tone(440, amplitude=0.01)
    np.testing.assert_allclose(build.level([loud]), build.level([quiet]), atol=1e-6)
    mixed = build.level([tone(440), tone(880, seconds=0.5)])
    assert np.sqrt(np.mean(mixed**2)) == pytest.approx(build.LEVEL, rel=1e-4)
    assert len(mixed) == SR
    with pytest.raises(ValueError, match="silence"):
        build.level([np.zeros(10, dtype=np.float32)])


def test_publish_adds_artist_and_package_and_replaces_what_was_there(tmp_path):
    path = write(tmp_path / "audio" / "Chip" / "song.wav", tone(440, 3))
    settings = RenderSettings(clip_seconds=1.0, n_fft=512, n_mels=16)
    recordings = list(named([Recording(path, "Chip/song.wav", "Chip")]))
    render_folder(recordings, tmp_path / "rendered", settings, ClipSettings(), Workers(jobs=1))
    facts = {"title": "T", "artist": "A", "version": "1", "licence": "GPL-2"}
    track = {"label": "Chip", "name": "song", "package": "p", "path_in_package": "x/y.xm", **facts}
    out = tmp_path / "out"
    stale = out / "Chip" / "stale__000.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    build.publish([track], tmp_path / "rendered", out)
    published = read_rows(out / "clips.csv")
    assert {row["artist"] for row in published} == {"A"}
    assert {row["source"] for row in published} == {"p:x/y.xm"}
    assert not stale.exists() and len(list(out.glob("Chip/*.png"))) == len(published) == 3
