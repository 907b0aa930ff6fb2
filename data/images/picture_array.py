"""Pictures at one size, decoded or yet to be, with what was found out while they were decoded."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from os import cpu_count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data.images.fingerprints import MOST_COMPARED, SIDE, Fingerprints, fingerprint
from data.images.read import read_picture

NOTHING = Fingerprints(np.empty(0, "S32"), np.empty((0, SIDE, SIDE), np.uint8), np.empty(0, bool))
BLOCK = 256  # pictures that are decoded before the next are begun


@dataclass(frozen=True)
class PictureArray:
    """Pictures by position: `decoded[i]` is uint8 (H, W, 3) at `canvas` = (width, height).

    paths: str (n,), relative to root; prints: what tells them apart, if that is known;
    reasons: {position: why that picture is unreadable};
    pixels: uint8 (N, H, W, 3), whose row rows[i] is picture i, or None to decode at each access;
    notes: why they are not kept.
    """

    root: Path
    paths: np.ndarray
    canvas: tuple[int, int]
    prints: Fingerprints = NOTHING
    reasons: dict[int, str] = field(default_factory=dict)
    pixels: np.ndarray | None = None
    rows: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> np.ndarray:
        if self.pixels is None:
            return read_picture(f"{self.root}/{self.paths[i]}", self.canvas)
        return self.pixels[i if self.rows is None else self.rows[i]]

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
    thumbnails = np.empty((n if n <= MOST_COMPARED else 0, SIDE, SIDE), np.uint8)
    reasons = {}

    def one(i: int) -> _One:
        if earlier and earlier.rows[i] >= 0:
            return _again(earlier.decoded, earlier.rows[i], black)
        try:
            pixels = read_picture(f"{root}/{paths[i]}", canvas)
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
    return PictureArray(root, paths, canvas, Fingerprints(digests, thumbnails, blank), reasons)


def _again(earlier: PictureArray, row: int, black: np.ndarray) -> _One:
    prints = earlier.prints
    thumbnail = prints.thumbnails[row] if len(prints.thumbnails) else black[:SIDE, :SIDE, 0]
    pixels = black if earlier.pixels is None else earlier.pixels[row]
    reason = earlier.reasons.get(int(row), "")
    return _One(pixels, prints.digests[row], thumbnail, bool(prints.blank[row]), reason)


def _in_parallel(one: Callable[[int], _One], n: int) -> Iterator[_One]:
    """one(0), one(1), ... by all cores: Pillow decodes without the interpreter lock."""
    with (
        ThreadPoolExecutor(cpu_count()) as pool,
        tqdm(total=n, desc="decoding", unit=" pictures", leave=False, disable=None) as bar,
    ):
        for start in range(0, n, BLOCK):
            for found in pool.map(one, range(start, min(start + BLOCK, n))):
                yield found
                bar.update()
