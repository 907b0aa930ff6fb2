"""What tells pictures apart: a digest of the pixels, a small grey picture, whether it is blank."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from os import cpu_count
from pathlib import Path

import numpy as np
from PIL import Image

from common.progress import tracked
from data.images.drawing import PLAIN, Drawing
from data.images.read import looked_at

THUMBNAIL = (64, 16)  # width, height: what happens when counts more than at which pitch
MOST_COMPARED = 200_000  # every picture with every other: minutes on two cores
BLANK_RANGE = 3  # grey steps between the darkest and the brightest pixel


@dataclass(frozen=True)
class Fingerprints:
    """What tells pictures apart: digests bytes (n,), thumbnails uint8 (n, 16, 64), blank bool (n,).

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
    """(digest of the exact pixels, grey thumbnail uint8 (16, 64), blank) of uint8 (H, W, 3)."""
    grey = Image.fromarray(pixels).convert("L")
    low, high = grey.getextrema()
    thumbnail = np.asarray(grey.resize(THUMBNAIL, Image.Resampling.BOX))
    return digest_of(pixels), thumbnail, high - low < BLANK_RANGE  # type: ignore[operator]


def digest_of(pixels: np.ndarray) -> bytes:
    """SHA-256 of the pixels, without zeros at its end: so an array of type S32 gives it back."""
    digest = sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest().rstrip(b"\0")


def fingerprints(
    files: Sequence[Path], drawing: Drawing = PLAIN
) -> tuple[Fingerprints, dict[int, str]]:
    """(the fingerprints of the readable pictures, {position: why that file is unreadable})."""
    failures: dict[int, str] = {}

    def one(i: int) -> tuple[bytes, np.ndarray, bool] | None:
        try:
            with looked_at(files[i], drawing) as pixels:
                return fingerprint(pixels)
        except ValueError as error:
            failures[i] = str(error)
            return None

    with ThreadPoolExecutor(cpu_count()) as pool:
        jobs = pool.map(one, range(len(files)))
        bar = tracked(jobs, "comparing pictures", len(files), "pictures")
        found = [each for each in bar if each is not None]
    digests = np.array([digest for digest, _, _ in found], "S32")
    blank = np.array([is_blank for _, _, is_blank in found], dtype=bool)
    small = [thumbnail for _, thumbnail, _ in found] if len(found) <= MOST_COMPARED else []
    thumbnails = np.array(small, np.uint8).reshape(-1, *THUMBNAIL[::-1])
    return Fingerprints(digests, thumbnails, blank), dict(sorted(failures.items()))
