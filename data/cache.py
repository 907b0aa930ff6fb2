"""Every picture decoded once, in parallel, and checked on the way."""

from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from data.image import read_picture


def picture_sizes(files: list[Path]) -> list[tuple[int, int] | None]:
    """(width, height) of each file from its header; None where there is no readable header."""

    def size(file: Path) -> tuple[int, int] | None:
        try:
            with Image.open(file) as image:
                return image.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None

    with ThreadPoolExecutor(cpu_count()) as pool:
        return list(pool.map(size, files))


def decode_all(
    files: list[Path], canvas: tuple[int, int], *, gib: float
) -> tuple[np.ndarray | None, dict[int, str]]:
    """(pictures uint8 (n, H, W, 3) at `canvas` = (width, height), {position: why unreadable}).

    Every file is decoded, so that every damaged one is known before training starts. The pictures
    are None when they would take more than `gib` GiB: then the caller decodes them in each epoch.
    """
    shape = (len(files), canvas[1], canvas[0], 3)
    keep = int(np.prod(shape, dtype=np.int64)) <= gib * 2**30
    pictures = np.empty(shape, np.uint8) if keep else None
    failures: dict[int, str] = {}

    def decode(i: int) -> None:
        try:
            pixels = read_picture(files[i], canvas)
        except ValueError as error:
            failures[i] = str(error)
        else:
            if pictures is not None:
                pictures[i] = pixels

    with ThreadPoolExecutor(cpu_count()) as pool:  # Pillow decodes without the interpreter lock
        jobs = pool.map(decode, range(len(files)))
        for _ in tqdm(jobs, "decoding", len(files), unit=" pictures", leave=False, disable=None):
            pass
    return pictures, dict(sorted(failures.items()))
