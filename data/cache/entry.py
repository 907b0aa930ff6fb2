"""One store of decoded pictures: what it is called, what is in it, how it is written and read."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import PIL

from data.images.drawing import PLAIN, Drawing
from data.images.fingerprints import Fingerprints
from data.images.picture_array import UNCHECKED, PictureArray

FORMAT = 2  # to be raised when a store holds something else
DAMAGED = (OSError, ValueError, KeyError, EOFError, BadZipFile)


@dataclass(frozen=True)
class CacheKey:
    """What a store is to hold: the pictures root/paths as `stamps` tells them, at the canvas.

    drawing: what is undone of how they are drawn.
    """

    root: Path
    paths: np.ndarray
    canvas: tuple[int, int]
    stamps: np.ndarray
    drawing: Drawing = PLAIN

    def place(self) -> str:
        """What the stores of all states of this folder have in common."""
        drawn = self.drawing.to_dict()
        where = f"{FORMAT} {PIL.__version__} {self.root.resolve()} {self.canvas} {drawn}"
        return sha256(where.encode()).hexdigest()[:16]

    def name(self) -> str:
        """The name of the store."""
        content = sha256("\0".join(self.paths.tolist()).encode("utf-8", "surrogateescape"))
        content.update(self.stamps.tobytes())
        return f"{self.place()}-{content.hexdigest()[:32]}"

    def n_bytes(self) -> tuple[int, int]:
        """(of the index, rounded up, of the pixels)."""
        width, height = self.canvas
        return len(self.paths) * (self.paths.itemsize + 1200), len(self.paths) * width * height * 3

    def open_in(self, folder: Path) -> PictureArray | None:
        """The pictures from their store; None if there is no such store, or a damaged one."""
        return open_entry(folder / self.name(), self)


def open_entry(store: Path, wanted: CacheKey) -> PictureArray | None:
    """The pictures of a store that holds what is wanted; None if it is absent or damaged."""
    try:
        with np.load(store / "index.npz") as index:
            prints = Fingerprints(index["digests"], index["thumbnails"], index["blank"])
            reasons = dict(
                zip(index["unreadable"].tolist(), index["reasons"].tolist(), strict=True)
            )
        _check_lengths(prints, reasons, len(wanted.paths))
        pixels = state = None
        if (store / "pixels").exists():
            shape = (len(wanted.paths), wanted.canvas[1], wanted.canvas[0], 3)
            pixels = np.memmap(store / "pixels", np.uint8, "r", shape=shape)
            state = np.full(len(pixels), UNCHECKED, np.uint8)
        os.utime(store)  # those used longest ago go first
    except DAMAGED:
        return None
    return PictureArray(
        wanted.root,
        wanted.paths,
        wanted.canvas,
        prints,
        reasons,
        pixels,
        state=state,
        drawing=wanted.drawing,
    )


def _check_lengths(prints: Fingerprints, reasons: dict[int, str], n: int) -> None:
    """Raise ValueError if an index is not one of n pictures."""
    n_thumbnails = len(prints.thumbnails)
    lengths = {len(prints.digests), len(prints.blank), n_thumbnails or n}
    if lengths != {n} or not all(0 <= i < n for i in reasons):
        raise ValueError("an index of other pictures")


def file_stamps(root: Path, paths: np.ndarray) -> np.ndarray:
    """Size, modification time and change time of each file: int64 (n, 3), -1 if there is none.

    The change time also tells a file that was replaced by an older one of the same size.
    """
    stamps = np.full((len(paths), 3), -1, dtype=np.int64)
    for i, path in enumerate(paths.tolist()):
        try:
            found = os.stat(f"{root}/{path}")  # noqa: PTH116 - a million Paths take seconds
        except OSError:
            continue  # decoding says why
        stamps[i] = found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return stamps


class PixelFile:
    """A file of pixels that keeps its first error until `close`: decoding goes on without it."""

    def __init__(self, path: Path) -> None:
        self._out = path.open("wb")
        self._error: OSError | None = None

    def write(self, pixels: np.ndarray) -> None:
        """Append the pixels, if nothing has gone wrong before."""
        try:
            if self._error is None:
                self._out.write(pixels.data)
        except OSError as error:
            self._error = error

    def close(self) -> None:
        """Have all of it on the disk, or raise the OSError why it is not."""
        with self._out:
            if self._error is not None:
                raise self._error
            self._out.flush()
            os.fsync(self._out.fileno())


def write_index(file: Path, made: PictureArray, stamps: np.ndarray) -> None:
    """Write all of a store but the pixels, and have it on the disk; OSError if that fails."""
    prints = made.prints
    with file.open("wb") as out:
        np.savez(
            out,
            paths=made.paths,
            stamps=stamps,
            digests=prints.digests,
            blank=prints.blank,
            thumbnails=prints.thumbnails,
            unreadable=np.array(list(made.reasons), np.int64),
            reasons=np.array(list(made.reasons.values()), str),
        )
        out.flush()
        os.fsync(out.fileno())
