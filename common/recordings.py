"""Recordings and their pictures: file types, labels, which belong together, means of clips."""

import re
from collections import Counter
from collections.abc import Sequence

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
_DIGIT = re.compile(r"\d")
_NO_LETTERS = re.compile(r"[\W\d_]+")


def split_labels(cell: str) -> tuple[str, ...]:
    """The labels in a cell, `rock;jazz`: each once, in their order, without spaces around them."""
    names = (name.strip() for name in cell.split(SEPARATOR))
    return tuple(dict.fromkeys(name for name in names if name))


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


def names_only_count(recordings: Sequence[str]) -> np.ndarray:
    """Whether the name of each recording, <class>/<name>, tells nothing but a number, bool (n,).

    So it is where most names of a class differ in their digits alone, and half of them return in
    other classes; the largest class may have more. What tells songs apart by letters names songs,
    and numbers that are of one class each (FMA's) do too.
    """
    parts = [(path.partition("/")[0], path.rpartition("/")[2]) for path in recordings]
    of_class: dict[str, set[str]] = {}
    for kind, name in parts:
        of_class.setdefault(kind, set()).add(name)
    n_classes = Counter(name for names in of_class.values() for name in names)
    counted = np.zeros(len(recordings), dtype=bool)
    if max(n_classes.values(), default=1) == 1:
        return counted
    alike: dict[str, dict[str, set[str]]] = {}  # {text: {class: names that differ in digits alone}}
    for kind, names in of_class.items():
        by_text: dict[str, set[str]] = {}
        for name in names:
            by_text.setdefault(_NO_LETTERS.sub("", name).casefold(), set()).add(name)
        text, mine = max(by_text.items(), key=lambda item: len(item[1]))
        if 2 * len(mine) > len(names) and any(_DIGIT.search(name) for name in mine):
            alike.setdefault(text, {})[kind] = mine
    for by_class in alike.values():
        smaller = sorted(by_class.values(), key=len)[:-1]
        returning = sum(n_classes[name] > 1 for names in smaller for name in names)
        if smaller and 2 * returning >= sum(map(len, smaller)):
            counted |= [name in by_class.get(kind, ()) for kind, name in parts]
    return counted


def by_recording(
    probabilities: np.ndarray, labels: np.ndarray, recordings: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(probabilities (r, C), labels (r,), groups (r,)): each recording the mean of its clips.

    probabilities (n, C); labels, recordings and groups (n,). The recordings are sorted.
    """
    _, first, index = np.unique(recordings, return_index=True, return_inverse=True)
    total = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(total, index, probabilities)
    return total / np.bincount(index)[:, None], labels[first], groups[first]
