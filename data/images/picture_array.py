"""Pictures at one size, decoded or yet to be, with what was found out while they were decoded."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from os import cpu_count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.progress import stage
from common.text import printable
from data.images.drawing import PLAIN, Drawing
from data.images.fingerprints import MOST_COMPARED, THUMBNAIL, Fingerprints, digest_of, fingerprint
from data.images.read import read_picture

SHAPE = THUMBNAIL[::-1]
NOTHING = Fingerprints(np.empty(0, "S32"), np.empty((0, *SHAPE), np.uint8), np.empty(0, bool))
UNCHECKED, INTACT, DAMAGED = 0, 1, 2  # states of a row of pixels
BLOCK = 256  # pictures that are decoded before the next are begun


@dataclass(frozen=True)
class PictureArray:
    """Pictures by position: `decoded[i]` is uint8 (H, W, 3) at `canvas` = (width, height).

    paths: str (n,), relative to root; prints: what tells them apart, if that is known;
    reasons: {position: why that picture is unreadable};
    pixels: uint8 (N, H, W, 3), whose row rows[i] is picture i, or None to decode at each access;
    notes: why they are not kept; state: of each row of pixels, uint8 (N,), for those of a file:
    UNCHECKED until it is first read and compared with its digest, then INTACT or DAMAGED;
    drawing: what is undone of how they are drawn.
    """

    root: Path
    paths: np.ndarray
    canvas: tuple[int, int]
    prints: Fingerprints = NOTHING
    reasons: dict[int, str] = field(default_factory=dict)
    pixels: np.ndarray | None = None
    rows: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)
    state: np.ndarray | None = None
    drawing: Drawing = PLAIN

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> np.ndarray:
        if self.pixels is None:
            return self._decode(i)
        row = i if self.rows is None else int(self.rows[i])
        pixels = self.pixels[row]
        if self.state is None or self.state[row] == INTACT:
            return pixels
        if self.state[row] == UNCHECKED:
            self._check(i, row, pixels)
        return pixels if self.state[row] == INTACT else self._decode(i)

    def _decode(self, i: int) -> np.ndarray:
        return read_picture(f"{self.root}/{self.paths[i]}", self.canvas, self.drawing)

    def _check(self, i: int, row: int, pixels: np.ndarray) -> None:
        """Note in `state` whether the pixels are those that were decoded; of an unreadable file,
        nobody knows.
        """
        assert self.state is not None
        if self.prints.digests[i] in (b"", digest_of(pixels)):
            self.state[row] = INTACT
            return
        if not (self.state == DAMAGED).any():
            where = Path(getattr(self.pixels, "filename", "")).parent
            print(
                f"{where} holds other pixels than were decoded for {printable(str(self.paths[i]))} "
                "and perhaps more: they are decoded again; remove that folder",
                file=sys.stderr,
            )
        self.state[row] = DAMAGED

    def take(self, keep: np.ndarray) -> "PictureArray":
        """The readable pictures at the positions `keep`."""
        rows = keep if self.rows is None else self.rows[keep]
        prints = self.prints.take(keep)
        return replace(self, paths=self.paths[keep], prints=prints, reasons={}, rows=rows)


class KnownPictures(NamedTuple):
    """Pictures decoded earlier, and the rows at which those of now stand there; -1 where not."""

    decoded: PictureArray
    rows: np.ndarray


class _One(NamedTuple):
    pixels: np.ndarray
    digest: bytes
    thumbnail: np.ndarray
    blank: bool
    reason: str = ""


def decode_pictures(
    root: Path,
    paths: np.ndarray,
    canvas: tuple[int, int],
    drawing: Drawing = PLAIN,
    *,
    earlier: KnownPictures | None = None,
    write: Callable[[np.ndarray], object] | None = None,
) -> PictureArray:
    """The pictures, all decoded once and none kept; each is given to `write`, in their order.

    An unreadable one is black. What is known from earlier is not decoded again.
    """
    n = len(paths)
    black = np.zeros((canvas[1], canvas[0], 3), np.uint8)
    digests, blank = np.empty(n, "S32"), np.empty(n, bool)
    thumbnails = np.empty((n if n <= MOST_COMPARED else 0, *SHAPE), np.uint8)
    reasons = {}

    def one(i: int) -> _One:
        try:
            if earlier and earlier.rows[i] >= 0:
                return _again(earlier.decoded, int(earlier.rows[i]), black)
            pixels = read_picture(f"{root}/{paths[i]}", canvas, drawing)
        except ValueError as error:
            return _One(black, b"", black[:0, :0, 0], True, str(error))
        return _One(pixels, *fingerprint(pixels))

    for i, found in enumerate(_in_parallel(one, n)):
        digests[i], blank[i] = found.digest, found.blank
        if found.reason:
            reasons[i] = found.reason
        elif len(thumbnails):
            thumbnails[i] = found.thumbnail
        if write:
            write(found.pixels)
    prints = Fingerprints(digests, thumbnails, blank)
    return PictureArray(root, paths, canvas, prints, reasons, drawing=drawing)


def _again(earlier: PictureArray, row: int, black: np.ndarray) -> _One:
    prints = earlier.prints
    thumbnail = prints.thumbnails[row] if len(prints.thumbnails) else np.zeros(SHAPE, np.uint8)
    pixels = black if earlier.pixels is None else earlier[row]
    reason = earlier.reasons.get(row, "")
    return _One(pixels, prints.digests[row], thumbnail, bool(prints.blank[row]), reason)


def _in_parallel(one: Callable[[int], _One], n: int) -> Iterator[_One]:
    """one(0), one(1), ... by all cores: Pillow decodes without the interpreter lock."""
    with (
        ThreadPoolExecutor(cpu_count()) as pool,
        stage("decoding", n, "pictures") as decoding,
    ):
        for start in range(0, n, BLOCK):
            for found in pool.map(one, range(start, min(start + BLOCK, n))):
                yield found
                decoding.update()
