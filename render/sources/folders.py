"""Which recordings there are, and their labels, from class folders or a CSV."""

import csv
import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from common.files import open_csv
from common.recordings import SOUNDS, SongGroups, song_groups, split_folders, split_labels


@dataclass(frozen=True)
class Recording:
    """One audio file. source: its path below the folder asked for; name: what its pictures bear.

    group: what may not straddle a split, when more is known than the recording itself. labels: all
    of its labels, `label` the first of them, where songs may have several; else none.
    """

    path: Path
    source: str
    label: str
    group: str = ""
    split: str = ""
    name: str = ""
    labels: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class that it is of."""
        return self.labels or (self.label,)


def source_of(path: Path, root: Path) -> str:
    """The recording's path below `root`, with "/"; bytes that are not UTF-8 as \\xNN."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def audio_files(root: Path) -> list[Path]:
    """Every file below `root` with an audio suffix, sorted; each real folder is entered once."""
    entered, found = set(), []
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:  # a link back to where we have been
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(folder, name)
            for name in files
            if Path(name).suffix.lower() in SOUNDS and not name.startswith(".")
        ]
    return sorted(found)


def from_folders(root: Path) -> list[Recording]:
    """The recordings of `root`/<class>/**; the first folder below `root` is the label.

    Of `root`/<part of a split>/<class>/** the second is.
    """
    recordings, found, split = [], audio_files(root), split_folders(root)
    for path in found:
        *folders, _ = path.relative_to(root).parts
        if split and len(folders) > 1:
            source, part = source_of(path, root), split[folders[0]]
            recordings.append(Recording(path, source, folders[1], split=part))
        elif folders and not split:
            recordings.append(Recording(path, source_of(path, root), folders[0]))
    if found and not recordings:
        name, n = root.resolve(), len(found)
        raise ValueError(
            f"no classes in {root}: {n} recording{'s' * (n > 1)} there, in no class folder; "
            f"expected one folder for each class, as {name.parent} if {name.name} is a class, or "
            "--labels FILE.csv"
        )
    if not recordings:
        raise ValueError(
            f"no recordings in {root}; expected {root}/<class>/<recording> with one of "
            f"{' '.join(sorted(SOUNDS))}, or --labels FILE.csv"
        )
    return recordings


GENRE_NAME = re.compile(r"([a-z]+)\.(\d{5})")  # blues.00042


def from_gtzan(root: Path) -> list[Recording]:
    """GTZAN as downloaded: genres_original/<genre>/<genre>.NNNNN.wav, genres/..., or all flat."""
    recordings = []
    for path in audio_files(root):
        match = GENRE_NAME.fullmatch(path.stem)
        if match:
            recordings.append(Recording(path, source_of(path, root), match[1]))
    if not recordings:
        raise ValueError(f"no GTZAN recordings in {root}; expected names like blues.00042.wav")
    return recordings


def from_csv(table: Path, root: Path, column: str) -> list[Recording]:
    """The recordings that a CSV names: path (below `root`), `column` as the label, group if there.

    Rows without a label are left out. Where a cell holds several, `rock;jazz`, songs may have
    several labels.
    """
    with open_csv(table) as file:
        reader = csv.DictReader(file)
        missing = [name for name in ("path", column) if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{table} has no column {' and '.join(missing)}; "
                f"it has {', '.join(reader.fieldnames or ())}"
            )
        rows = [row for row in reader if (row[column] or "").strip()]
    rows = [row for row in rows if split_labels(row[column])]
    several = any(len(split_labels(row[column])) > 1 for row in rows)
    recordings = [
        Recording(
            root / row["path"],
            Path(row["path"]).as_posix(),
            split_labels(row[column])[0],
            (row.get("group") or "").strip(),
            (row.get("split") or "").strip(),
            labels=split_labels(row[column]) if several else (),
        )
        for row in rows
    ]
    if not recordings:
        raise ValueError(f"{table} has no row with a {column}")
    first: dict[str, Recording] = {}
    for one in recordings:
        if set(one.classes) != set((other := first.setdefault(one.source, one)).classes):
            both = ";".join(dict.fromkeys(other.classes + one.classes))
            raise ValueError(
                f"{table} gives {one.source} other labels in another row; if it has all of them, "
                f"write them in one cell, {both}"
            )
    return recordings


def file_name(text: str) -> str:
    """`text` as a file name on every system, of 200 bytes at most."""
    text = unicodedata.normalize("NFC", text)
    text = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]', "_", text).strip(" .")[:100]
    return text.encode()[:200].decode(errors="ignore") or "unnamed"


def recording_name(text: str) -> str:
    """`text` as a file name without "__", which separates a recording's name from the clip's."""
    return re.sub(r"_{2,}", "_", file_name(text)).strip("_") or "unnamed"


def named(recordings: Iterable[Recording]) -> Iterator[Recording]:
    """The recordings with names that are unique, whatever the letter case, and safe in a path.

    A name is the file's stem; where two are alike, each gets a hash of its source behind it. A
    source that comes twice is kept once. Groups default to the song that names and folders tell
    (`song_groups`), which mostly is the name. Raises ValueError when two labels have the same name
    as a folder.
    """
    once = {recording.source: recording for recording in recordings}
    groups = dict(zip(once, _songs(once.values()).groups, strict=True))
    n_of_group = Counter(groups.values())
    stems = {source: recording_name(Path(source).stem) for source in once}
    seen = Counter(stem.casefold() for stem in stems.values())
    folders: dict[str, str] = {}  # of each class, and the label that it is for
    for label in sorted({label for recording in once.values() for label in recording.classes}):
        if label != (other := folders.setdefault(file_name(label), label)):
            raise ValueError(
                f"the classes {other!r} and {label!r} would share the folder {file_name(label)}; "
                "rename one of them"
            )
    for source in sorted(once):
        name = stems[source]
        if seen[name.casefold()] > 1:
            name += "-" + hashlib.blake2b(source.encode(), digest_size=4).hexdigest()
        recording, group = once[source], groups[source]
        yield replace(
            recording,
            name=name,
            label=file_name(recording.label),
            group=recording.group or (group if n_of_group[group] > 1 else name),
            labels=tuple(map(file_name, recording.labels)),
        )


def notes_on_groups(recordings: Iterable[Recording]) -> list[str]:
    """What is to be said of the groups of recordings that nobody gave a group, in sentences."""
    unnamed = [recording for recording in recordings if not recording.group]
    return [
        f"{note} in --labels FILE.csv (columns path, label and group)"
        for note in _songs(unnamed).notes
    ]


def _songs(recordings: Collection[Recording]) -> SongGroups:
    """The songs that the recordings' names and folders tell."""
    paths = []
    for recording in recordings:
        *folders, file = recording.source.split("/")
        if recording.split and folders[1:2] == [recording.label]:  # folders are parts of a split
            folders = folders[1:]
        if folders[:1] == [recording.label]:
            folders = folders[1:]
        paths.append("/".join([recording.label, *folders, recording_name(Path(file).stem)]))
    return song_groups(paths, [recording.split for recording in recordings])
