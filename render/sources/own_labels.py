"""Labels that a collection has already: genres in its tags, or playlists; groups by album."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from common.files import absolute
from render.audio.tags import SongTags, read_tags, spelling
from render.sources.folders import Recording, audio_files, source_of
from render.sources.playlists import playlist_entries

Chosen = tuple[list[Recording], Mapping[str, int]]  # and how many were left out, by the reason


def from_tags(root: Path) -> Chosen:
    """The recordings below `root` with the first genre of their tags, in its commonest spelling.

    Raises ValueError when no recording has a genre.
    """
    tags = {path: read_tags(path) for path in audio_files(root)}
    first = {path: said.genres[0].strip() for path, said in tags.items() if said.genres}
    spellings = Counter(first.values())
    named: dict[str, str] = {}
    for genre, _ in sorted(spellings.items(), key=lambda item: (-item[1], item[0])):
        named.setdefault(spelling(genre), genre)
    labels = {path: named[spelling(genre)] for path, genre in first.items() if spelling(genre)}
    if not labels:
        raise ValueError(f"no recording below {root} has a genre in its tags")
    left_out = Counter({"without a genre in their tags": len(tags) - len(labels)})
    return _recordings(root, labels, tags), +left_out


def from_playlists(root: Path) -> Chosen:
    """The recordings that the M3U playlists below `root` list; a playlist's name is the label.

    Raises ValueError when no playlist lists one. Recordings of two playlists are left out: nobody
    knows which of them is their class.
    """
    known = {absolute(path): path for path in audio_files(root)}
    classes: dict[Path, set[str]] = defaultdict(set)
    left_out: Counter[str] = Counter()
    for playlist in sorted([*root.rglob("*.m3u"), *root.rglob("*.m3u8")]):
        for entry in playlist_entries(playlist):
            path = known.get(absolute(entry))
            if path is None:
                left_out[f"listed, but no recordings below {root}"] += 1
            else:
                classes[path].add(playlist.stem)
    labels = {path: min(names) for path, names in classes.items() if len(names) == 1}
    left_out["in several playlists"] = len(classes) - len(labels)
    if not labels:
        raise ValueError(f"no M3U playlist below {root} lists a recording below it")
    tags = {path: read_tags(path) for path in labels}
    return _recordings(root, labels, tags), +left_out


def _recordings(
    root: Path, labels: Mapping[Path, str], tags: Mapping[Path, SongTags]
) -> list[Recording]:
    groups = groups_of(tags)
    return [
        Recording(path, source_of(path, root), label, groups[path])
        for path, label in sorted(labels.items())
    ]


def groups_of(tags: Mapping[Path, SongTags]) -> dict[Path, str]:
    """What may not straddle a split: a recording's artist, or its album if that has several.

    An album is what has one title in one folder. "" where the tags say neither.
    """
    artists: dict[tuple[Path, str], set[str]] = defaultdict(set)
    for path, said in tags.items():
        artists[path.parent, spelling(said.album)].add(spelling(said.artist))
    groups = {}
    for path, said in tags.items():
        album, artist = spelling(said.album), spelling(said.artist)
        if album and (len(artists[path.parent, album]) > 1 or not artist):
            groups[path] = f"album {said.album} in {path.parent.name}"
        else:
            groups[path] = f"artist {artist}" if artist else ""
    return groups
