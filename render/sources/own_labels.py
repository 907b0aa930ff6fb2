"""Labels that a collection has already: genres in its tags, or playlists; groups by album."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from common.files import absolute
from common.recordings import SOME_SONGS, split_labels
from render.audio.tags import SongTags, read_tags, spelling
from render.sources.folders import Recording, audio_files, source_of
from render.sources.playlists import playlist_entries

# Artists who are nobody, as `spelling` has them.
NOBODY = ("va", "various", "variousartists", "unknown", "unknownartist", "artist")
Chosen = tuple[list[Recording], Mapping[str, int]]  # and how many were left out, by the reason


def from_tags(root: Path, *, several: bool = False) -> Chosen:
    """The recordings below `root` with the first genre of their tags, in its commonest spelling.

    several: with every genre, whether in a tag of its own or behind a semicolon. Raises ValueError
    when no recording has a genre.
    """
    tags = {path: read_tags(path) for path in audio_files(root)}
    genres = {
        path: [name for genre in said.genres for name in split_labels(genre)]
        if several
        else [genre.strip() for genre in said.genres[:1]]
        for path, said in tags.items()
    }
    spellings = Counter(name for names in genres.values() for name in names)
    named: dict[str, str] = {}
    for genre, _ in sorted(spellings.items(), key=lambda item: (-item[1], item[0])):
        named.setdefault(spelling(genre), genre)
    spelt = {p: [named[spelling(g)] for g in names if spelling(g)] for p, names in genres.items()}
    labels = {path: names for path, names in spelt.items() if names}
    if not labels:
        raise ValueError(f"no recording below {root} has a genre in its tags")
    left_out = Counter({"without a genre in their tags": len(tags) - len(labels)})
    return _recordings(root, labels, tags, several), +left_out


def from_playlists(root: Path, *, several: bool = False) -> Chosen:
    """The recordings that the M3U playlists below `root` list; a playlist's name is the label.

    Raises ValueError when no playlist lists one. Recordings of two playlists have the names of both
    as labels if they may have `several`; else they are left out: nobody knows which is their class.
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
    labels = {path: sorted(names) for path, names in classes.items() if several or len(names) == 1}
    left_out["in several playlists"] = len(classes) - len(labels)
    if not labels:
        raise ValueError(f"no M3U playlist below {root} lists a recording below it")
    tags = {path: read_tags(path) for path in labels}
    return _recordings(root, labels, tags, several), +left_out


def _recordings(
    root: Path, labels: Mapping[Path, list[str]], tags: Mapping[Path, SongTags], several: bool
) -> list[Recording]:
    groups = groups_of(tags)
    return [
        Recording(
            path,
            source_of(path, root),
            names[0],
            groups[path],
            labels=tuple(dict.fromkeys(names)) if several else (),
        )
        for path, names in sorted(labels.items())
    ]


def by_artist(recordings: list[Recording]) -> tuple[list[Recording], list[str]]:
    """Recordings of class folders in groups by their tags, and what is to be said of them.

    They stay as they are where they have a split of their own, where tags put no two of them
    together, and where a class would be left with too few groups to be tested.
    """
    if any(recording.split for recording in recordings):
        return recordings, []
    groups = groups_of({recording.path: read_tags(recording.path) for recording in recordings})
    named = [group for group in groups.values() if group]
    if len(set(named)) == len(named):
        return recordings, []
    of_class: dict[str, list[str]] = defaultdict(list)
    for recording in recordings:
        of_class[recording.label].append(groups[recording.path] or recording.source)
    for label, own in of_class.items():
        if len(set(own)) < SOME_SONGS <= len(own):
            return recordings, [
                f"an artist may be on two sides of the split: by their tags, class {label} has "
                f"{len(set(own))} artists or albums, too few to be tested on others"
            ]
    n_groups = len({group for own in of_class.values() for group in own})
    return [replace(recording, group=groups[recording.path]) for recording in recordings], [
        f"no album and no artist of the tags is on two sides of the split: {n_groups} groups of "
        f"{len(recordings)} recordings; main.py --group recording takes each recording alone"
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
        artist = "" if artist in NOBODY else artist
        if album and (len(artists[path.parent, album]) > 1 or not artist):
            groups[path] = f"album {said.album} in {path.parent.name}"
        else:
            groups[path] = f"artist {artist}" if artist else ""
    return groups
