"""Recordings and their pictures: file types, labels, which belong together, means of clips."""

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
