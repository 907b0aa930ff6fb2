"""What tells pictures apart: a digest of the pixels, a small grey picture, whether it is blank."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from os import cpu_count
from pathlib import Path

import numpy as np
from PIL import Image

from data.images.read import read_picture

SIDE = 32
MOST_COMPARED = 50_000  # every picture with every other: a minute on two cores
BLANK_RANGE = 3  # grey steps between the darkest and the brightest pixel


@dataclass(frozen=True)
class Fingerprints:
    """What tells pictures apart: digests bytes (n,), thumbnails uint8 (n, 32, 32), blank bool (n,).

    There are no thumbnails of more than MOST_COMPARED pictures: nobody compares them.
    """

    digests: np.ndarray
    thumbnails: np.ndarray
    blank: np.ndarray

    def take(self, keep: np.ndarray) -> "Fingerprints":
        """Those of the pictures at the positions `keep`."""
        thumbnails = self.thumbnails[keep] if len(self.thumbnails) else self.thumbnails
        return Fingerprints(self.digests[keep], thumbnails, self.blank[keep])


def fingerprint(pixels: np.ndarray) -> tuple[bytes, np.ndarray, bool]:
    """(digest of the exact pixels, grey thumbnail uint8 (32, 32), blank) of uint8 (H, W, 3)."""
    grey = Image.fromarray(pixels).convert("L")
    low, high = grey.getextrema()
    thumbnail = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
    return digest_of(pixels), thumbnail, high - low < BLANK_RANGE  # type: ignore[operator]


def digest_of(pixels: np.ndarray) -> bytes:
    """SHA-256 of the pixels, without zeros at its end: so an array of type S32 gives it back."""
    digest = sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest().rstrip(b"\0")


def fingerprints(pictures: Iterable[np.ndarray | Path]) -> Fingerprints:
    """The fingerprints of pictures, given as pixels uint8 (H, W, 3) or as readable files."""

    def one(picture: np.ndarray | Path) -> tuple[bytes, np.ndarray, bool]:
        return fingerprint(read_picture(picture) if isinstance(picture, Path) else picture)

    with ThreadPoolExecutor(cpu_count()) as pool:
        found = list(pool.map(one, pictures))
    digests, thumbnails, blank = zip(*found, strict=True)
    if len(found) > MOST_COMPARED:
        thumbnails = thumbnails[:0]
    small = np.array(thumbnails, np.uint8).reshape(-1, SIDE, SIDE)
    return Fingerprints(np.array(digests, "S32"), small, np.array(blank))
