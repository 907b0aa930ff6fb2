"""Recordings and their pictures: file types, labels, which belong together, means of clips."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

import numpy as np

# By how the names of files end.
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
# Pictures that are not read: a folder of them and of others would lose them unseen.
OTHER_PICTURES = (".gif", ".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".jfif", ".svg")
SOUNDS_DIRECT = frozenset(
    (".wav", ".flac", ".ogg", ".oga", ".mp3", ".aiff", ".aif", ".opus", ".au")
)
SOUNDS_THROUGH_FFMPEG = frozenset(
    (".m4a", ".mp4", ".aac", ".wma", ".webm", ".mka", ".mkv", ".mov", ".ac3", ".ape", ".wv")
) | {".xm", ".it", ".mod", ".s3m"}
SOUNDS = SOUNDS_DIRECT | SOUNDS_THROUGH_FFMPEG
SEPARATOR = ";"  # between the labels of one song
# What folders and cells call the parts of a split.
PARTS = dict.fromkeys(("val", "valid", "validation", "dev"), "validation")
PARTS |= dict.fromkeys(("train", "training"), "train") | dict.fromkeys(("test", "testing"), "test")
LEAST_SONGS = 3  # of a class, from which on a folder or slices may be one: as many as a split needs
N_LOOKED_AT = 1000  # names of a class that tell whether they may number slices
SOME_SONGS = 5  # of a class, from which on alike names may be songs, or artists its groups
Place = tuple[str, str, str]  # a recording's class, the folders between, and its name
_DIGIT = re.compile(r"\d")
_NO_LETTERS = re.compile(r"[\W\d_]+")
_SLICE = re.compile(r"(.*\D)(\d+)[\W_]*")
_PART = re.compile(r"[^\W_].*[\W\d_]")  # more than a word: a slice is not said of C4
_END = re.compile(r"[\W_]+$")


def split_labels(cell: str) -> tuple[str, ...]:
    """The labels in a cell, `rock;jazz`: each once, in their order, without spaces around them."""
    names = (name.strip() for name in cell.split(SEPARATOR))
    return tuple(dict.fromkeys(name for name in names if name))


def labels_of(said: str, classes: Sequence[str], *, several: bool) -> tuple[str, ...]:
    """The classes that a text names, in their order: one, or of several labels all of `rock;jazz`.

    () where it names none, or something that is none of them.
    """
    if not several:
        return (said,) if said in classes else ()
    return in_order(split_labels(said), classes)


def in_order(names: Collection[str], classes: Sequence[str]) -> tuple[str, ...]:
    """The names as the classes are ordered, each once; () where one is no class."""
    return tuple(name for name in classes if name in names) if set(names) <= {*classes} else ()


def split_folders(root: Path) -> dict[str, str]:
    """{folder: "train", "validation" or "test"} where a collection's folders are a split's parts.

    So Kaggle has it: `train/<class>`, `val/<class>`, `test/<class>`. A part without class folders
    is "". Empty for folders that are classes.
    """
    folders = folders_in(root)
    parts = {name: PARTS.get(name.lower(), "") for name in folders}
    if "" in parts.values() or "train" not in parts.values() or len(parts) < 2:
        return {}
    classes = {name: set(folders_in(root / name)) for name in folders}
    trained = set().union(*(classes[name] for name in folders if parts[name] == "train"))
    if len(trained) < 2 or any(2 * len(mine & trained) < len(mine) for mine in classes.values()):
        return {}
    return {name: part if classes[name] else "" for name, part in parts.items()}


def classes_further_down(root: Path, found: str) -> str:
    """What to do where the only class that was found has folders in it, else nothing."""
    below = folders_in(root / found) if (root / found).is_dir() else []
    named = f"{', '.join(below[:3])}{', ...' if len(below) > 3 else ''}"
    if len(below) < 2:
        return ""
    return f"; {found} has the folders {named}: if they are the classes, give {root}/{found}"


def folders_in(root: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones and Python's own."""
    return sorted(
        entry.name
        for entry in root.iterdir()
        if not entry.name.startswith((".", "__")) and entry.is_dir()
    )


def recording_of(path: str) -> str:
    """<folder>/<recording> of a picture's path: without the file type and the clip's suffix.

    The suffix begins at the last `__` of the file's name: `my__class/a__b__003.png` is a clip of
    `my__class/a__b`. Of an augmented clip, `a__b__003__pitch+2.png`, it begins at its number.
    """
    folder, slash, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    recording, _, clip = stem.rpartition("__")
    if not clip.isdecimal():
        before, _, number = recording.rpartition("__")
        recording = before if number.isdecimal() else recording
    return folder + slash + (recording or stem)


@dataclass(frozen=True)
class SongGroups:
    """The group of each recording, and what whoever reads figures must know of them, in sentences.

    The sentences end before the place where groups can be said.
    """

    groups: list[str]
    notes: tuple[str, ...] = ()


def song_groups(recordings: Sequence[str], parts: Sequence[str] = ()) -> SongGroups:
    """The songs of recordings <class>/<folders>/<name>, which names of strangers' files tell.

    A name is a song, whatever its class and folder: `vocals/song_a` and `drums/song_a`. But where
    names number the slices of songs, `blues.00001.3`, what precedes the number is the song; where
    they only count, `rock/07` and `jazz/07` are two; and where they return in folders below a
    class, `rock/song_a/07` and `rock/song_b/07`, the folder is the song (or the album).

    parts: the part of a split that each lies in, where numbers that count begin anew.
    """
    groups = [recording.rpartition("/")[2] for recording in recordings]
    names_of: dict[str, set[str]] = {}
    for recording, name in zip(recordings, groups, strict=True):
        names_of.setdefault(recording.partition("/")[0], set()).add(name)
    song_of = _songs_of_slices(names_of)
    if not song_of and len(set(groups)) == len(set(recordings)):  # nearly always
        return SongGroups(groups)
    counted = _counted(
        {kind: {song_of.get(name, name) for name in names} for kind, names in names_of.items()}
    )
    places = [_place(recording) for recording in recordings]
    in_folders = _classes_of_song_folders(set(places))
    first: dict[str, tuple[str, str]] = {}
    for i, ((kind, folder, name), part) in enumerate(
        zip(places, parts or repeat(""), strict=False)
    ):
        group, why = song_of.get(name, name), "slice" if name in song_of else ""
        if folder and kind in in_folders:
            group, why = f"{kind}/{folder}", "folder"
        elif group in counted.get(kind, ()):
            anew = f"{part} " if part and not why else ""
            group, why = f"{anew}{kind}/{group}", why or "number"
        groups[i] = group
        if why:
            first.setdefault(why, (name, group))
    return SongGroups(groups, tuple(_NOTES[why].format(*names) for why, names in first.items()))


_NOTES = {
    "slice": "names such as {} are taken for slices of one song (group {}); if they are not, name "
    "the songs",
    "folder": "names such as {} return from folder to folder: each folder is taken for one song "
    "(group {}); if it is not, name the songs",
    "number": "names such as {} only count: the same number in another class is taken for another "
    "song (group {}); if it is the same song, say so",
}


def _place(recording: str) -> Place:
    kind, _, rest = recording.partition("/")
    folder, _, name = rest.rpartition("/")
    return kind, folder, name or kind


def _songs_of_slices(names_of: dict[str, set[str]]) -> dict[str, str]:
    """{name: its song} of names that number the slices of songs, as half of all do at least."""
    sliced = [names for names in names_of.values() if _number_slices(names)]
    if not sliced or 2 * sum(map(len, sliced)) < sum(map(len, names_of.values())):
        return {}
    song_of: dict[str, str] = {}
    for names in names_of.values():
        mine = {m[0]: _END.sub("", m[1]) for m in _slices(names) if _PART.search(m[1])}
        if 2 * len(mine) > len(names):
            song_of |= mine
    return song_of


def _number_slices(names: set[str]) -> bool:
    """Whether most names of a class end in a number, as the slices of songs do.

    The numbers return from song to song, and there are more songs than numbers, or five at least
    that differ in digits alone.
    """
    some = _slices(islice(names, N_LOOKED_AT))  # of a million names, all take seconds
    if len({match[1] for match in some}) < LEAST_SONGS:
        return False
    matches = [match for match in _slices(names) if _PART.search(match[1])]
    songs, numbers = ({match[i] for match in matches} for i in (1, 2))
    if len(songs) < LEAST_SONGS or len(matches) < 2 * max(len(songs), len(numbers)):
        return False
    many = len(songs) > len(numbers) or (len(songs) >= SOME_SONGS and bool(_alike(songs)[1]))
    return many and 2 * len(matches) > len(names)


def _slices(names: Iterable[str]) -> list[re.Match[str]]:
    """(before its last number, that number) of each name that ends in one."""
    return [match for name in names if (match := _SLICE.fullmatch(name))]


def _counted(names_of: dict[str, set[str]]) -> dict[str, set[str]]:
    """{class: those of its names that tell nothing but a number}.

    Most names of such a class differ in their digits alone, and half of them return in other
    classes; the largest class may have more. Numbers that are of one class each (FMA's) are songs.
    """
    n_classes = Counter(name for names in names_of.values() for name in names)
    alike: dict[str, dict[str, set[str]]] = {}  # {text: {class: names}}
    for kind, names in names_of.items():
        text, mine = _alike(names)
        if any(_DIGIT.search(name) for name in mine):
            alike.setdefault(text, {})[kind] = mine
    counted: dict[str, set[str]] = {}
    for by_class in alike.values():
        smaller = sorted(by_class.values(), key=len)[:-1]
        returning = sum(n_classes[name] > 1 for names in smaller for name in names)
        if smaller and 2 * returning >= sum(map(len, smaller)):
            counted |= by_class
    return counted


def _alike(names: Collection[str]) -> tuple[str, set[str]]:
    """(letters, those of the names that have no others), if these are most; else none."""
    by_text: dict[str, set[str]] = {}
    for name in names:
        by_text.setdefault(_NO_LETTERS.sub("", name).casefold(), set()).add(name)
    text, mine = max(by_text.items(), key=lambda item: len(item[1]))
    return (text, mine) if 2 * len(mine) > len(names) else ("", set())


def _classes_of_song_folders(places: set[Place]) -> set[str]:
    """The classes whose folders are songs: the names in them return from folder to folder.

    So may those of variants, `rock/original/07` and `rock/noisy/07`, but not with two of these
    signs: names that are all alike, more folders than names, folders that no other class has.
    """
    n_classes = Counter(folder for _, folder in {(kind, folder) for kind, folder, _ in places})
    below_of: dict[str, list[tuple[str, str]]] = {}
    for kind, folder, name in places:
        if folder:
            below_of.setdefault(kind, []).append((folder, name))
    found = set()
    for kind, below in below_of.items():
        folders, names = ({part[i] for part in below} for i in (0, 1))
        if len(folders) < LEAST_SONGS or len(below) < 2 * len(names):
            continue
        own = 2 * sum(n_classes[folder] > 1 for folder in folders) < len(folders)
        signs = (bool(_alike(names)[1]), len(folders) > len(names), own)
        if sum(signs) > 1:
            found.add(kind)
    return found


def by_recording(
    probabilities: np.ndarray, labels: np.ndarray, recordings: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(probabilities (r, C), labels (r, ...), groups (r,)): each recording the mean of its clips.

    probabilities (n, C); labels (n,), or of several (n, C); recordings and groups (n,). The
    recordings are sorted.
    """
    _, first, index = np.unique(recordings, return_index=True, return_inverse=True)
    total = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(total, index, probabilities)
    return total / np.bincount(index)[:, None], labels[first], groups[first]
