"""Recordings and their pictures: file types, labels, which belong together, means of clips."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

# By how the names of files end.
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
SOUNDS_DIRECT = frozenset(
    (".wav", ".flac", ".ogg", ".oga", ".mp3", ".aiff", ".aif", ".opus", ".au")
)
SOUNDS_THROUGH_FFMPEG = frozenset(
    (".m4a", ".mp4", ".aac", ".wma", ".webm", ".mka", ".mkv", ".mov", ".ac3", ".ape", ".wv")
) | {".xm", ".it", ".mod", ".s3m"}
SOUNDS = SOUNDS_DIRECT | SOUNDS_THROUGH_FFMPEG
SEPARATOR = ";"  # between the labels of one song
LEAST_FOLDERS = 3  # of a class, from which on each may be a song: as many as a split needs
Place = tuple[str, str, str]  # a recording's class, the folders between, and its name
_DIGIT = re.compile(r"\d")
_NO_LETTERS = re.compile(r"[\W\d_]+")


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
    named = set(split_labels(said))
    return tuple(name for name in classes if name in named) if named <= set(classes) else ()


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


def song_groups(recordings: Sequence[str]) -> SongGroups:
    """The songs of recordings <class>/<folders>/<name>, which names of strangers' files tell.

    A name is a song, whatever its class and folder: `vocals/song_a` and `drums/song_a`. But where
    names only count, `rock/07` and `jazz/07` are two. Where names return in folders below a class,
    `rock/song_a/07` and `rock/song_b/07`, the folder is the song (or the album).
    """
    groups = [recording.rpartition("/")[2] for recording in recordings]
    if len(set(groups)) == len(set(recordings)):  # nearly always
        return SongGroups(groups)
    places = [_place(recording) for recording in recordings]
    of_class: dict[str, set[Place]] = {}
    for place in places:
        of_class.setdefault(place[0], set()).add(place)
    counted = _counted({kind: {name for *_, name in mine} for kind, mine in of_class.items()})
    in_folders = _classes_of_song_folders(of_class)
    notes: dict[str, str] = {}
    for i, (kind, folder, name) in enumerate(places):
        if folder and kind in in_folders:
            groups[i] = f"{kind}/{folder}"
            notes.setdefault(
                "folder",
                f"names such as {name} return from folder to folder: each folder is taken for one "
                f"song (group {groups[i]}); if it is not, name the songs",
            )
        elif name in counted.get(kind, ()):
            groups[i] = f"{kind}/{name}"
            notes.setdefault(
                "number",
                f"names such as {name} only count: the same number in another class is taken for "
                f"another song (group {groups[i]}); if it is the same song, say so",
            )
    return SongGroups(groups, tuple(notes.values()))


def _place(recording: str) -> Place:
    kind, _, rest = recording.partition("/")
    folder, _, name = rest.rpartition("/")
    return kind, folder, name or kind


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


def _classes_of_song_folders(of_class: dict[str, set[Place]]) -> set[str]:
    """The classes whose folders are songs: the names in them return from folder to folder.

    So may those of variants, `rock/original/07` and `rock/noisy/07`, but not with two of these
    signs: names that are all alike, more folders than names, folders that no other class has.
    """
    n_classes = Counter(
        folder for mine in of_class.values() for folder in {folder for _, folder, _ in mine}
    )
    found = set()
    for kind, mine in of_class.items():
        below = [(folder, name) for _, folder, name in mine if folder]
        folders, names = ({part[i] for part in below} for i in (0, 1))
        if len(folders) < LEAST_FOLDERS or len(below) < 2 * len(names):
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
