"""The Free Music Archive's data set as downloaded: genres, and countries of origin, as labels.

Sounds lie in fma_small/000/000002.mp3 (or any folders below the root: the number is the track),
facts in fma_metadata/tracks.csv, whose header has three rows, and raw_artists.csv.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from common.country import country_of
from common.files import open_csv
from render.sources.folders import Recording, audio_files, source_of

SUBSETS = ("small", "medium", "large", "full")  # each holds those before it
Track = dict[tuple[str, str], str]  # ("artist", "id") and the like, and ("track", "id")


def metadata_near(root: Path) -> Path:
    """The fma_metadata folder in or beside `root`."""
    for folder in (root / "fma_metadata", root.parent / "fma_metadata", root):
        if (folder / "tracks.csv").is_file():
            return folder
    raise ValueError(f"no fma_metadata/tracks.csv in or beside {root}; name it with --metadata")


def read_tracks(path: Path) -> Iterator[Track]:
    """The rows of tracks.csv; the columns are named by the first two of its three header rows."""
    with open_csv(path) as file:
        rows = csv.reader(file)
        header = [next(rows, []) for _ in range(3)]
        columns = list(zip(header[0], header[1], strict=False))
        wanted = {("track", "genre_top"), ("set", "split"), ("set", "subset"), ("artist", "id")}
        if not wanted <= set(columns) or header[2][:1] != ["track_id"]:
            raise ValueError(f"{path} has not the three header rows of FMA's tracks.csv")
        for row in rows:
            track = dict(zip(columns, row, strict=False))
            track["track", "id"] = row[0]
            yield track


def _tracks_with_sound(
    root: Path, metadata: Path, subset: str | None
) -> Iterator[tuple[Track, Path]]:
    """Each track of the subset whose file is below `root`."""
    files = {int(path.stem): path for path in audio_files(root) if path.stem.isdecimal()}
    if not files:
        raise ValueError(f"no FMA recordings in {root}; expected names like 000/000002.mp3")
    allowed = SUBSETS[: SUBSETS.index(subset) + 1] if subset else SUBSETS
    for track in read_tracks(metadata / "tracks.csv"):
        path = files.get(int(track["track", "id"]))
        if path is not None and (subset in (None, "full") or track["set", "subset"] in allowed):
            yield track, path


def _recording(track: Track, path: Path, root: Path, label: str, keep_split: bool) -> Recording:
    artist = track["artist", "id"]
    return Recording(
        path,
        source_of(path, root),
        label,
        f"artist{artist}" if artist else "",
        track["set", "split"] if keep_split else "",
    )


def from_genres(
    root: Path, metadata: Path, subset: str | None, keep_split: bool
) -> list[Recording]:
    """The recordings that have a top genre; tracks without one are left out."""
    recordings = [
        _recording(track, path, root, track["track", "genre_top"], keep_split)
        for track, path in _tracks_with_sound(root, metadata, subset)
        if track["track", "genre_top"]
    ]
    if not recordings:
        raise ValueError(f"no recording below {root} has a top genre in {metadata / 'tracks.csv'}")
    return recordings


def from_countries(
    root: Path, metadata: Path, subset: str | None, keep_split: bool
) -> tuple[list[Recording], Counter[str]]:
    """The recordings whose artist's country is known; how many were left out, by reason.

    Coordinates and place come from tracks.csv, and from raw_artists.csv where they lack there.
    """
    artists = _raw_artists(metadata / "raw_artists.csv")
    recordings, left_out = [], Counter[str]()
    for track, path in _tracks_with_sound(root, metadata, subset):
        raw = artists.get(track["artist", "id"], {})
        latitude, longitude, place = (
            track.get(("artist", name)) or raw.get(f"artist_{name}") or ""
            for name in ("latitude", "longitude", "location")
        )
        country, reason = country_of(latitude, longitude, place)
        if country:
            recordings.append(_recording(track, path, root, country, keep_split))
        else:
            left_out[reason] += 1
    if not recordings:
        raise ValueError(f"no recording below {root} has a country in {metadata}")
    return recordings, left_out


def _raw_artists(path: Path) -> dict[str, dict[str, str]]:
    """The rows of raw_artists.csv by artist id; none when the file is not there."""
    if not path.is_file():
        return {}
    with open_csv(path) as file:
        return {row["artist_id"]: row for row in csv.DictReader(file)}
