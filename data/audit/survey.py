"""What can be measured of a picture file without asking what it shows."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from os import cpu_count
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree
from tqdm import tqdm

from data.cache.decoded import Decoded
from data.images.read import read_picture

THUMBNAIL = (96, 64)  # width, height
EDGE = 2  # outermost rows and columns that count as the edge
NO_COLOUR = -1024  # stands in a colour table for a grey level that no pixel has
# The colour maps that people draw spectrograms with, by matplotlib's names.
COLOUR_MAPS = ("gray", "magma", "inferno", "viridis", "plasma", "cividis", "jet", "turbo", "hot",
               "coolwarm", "hsv", "Blues", "Greys")  # fmt: skip
COLOUR_MAP_DISTANCE = 12  # mean distance in RGB steps of pixels that are drawn with a map


@dataclass(frozen=True)
class Look:
    """The outside of one picture.

    brightness: darkest, brightest, mean, deviation and quartiles in grey steps; edges: mean and
    deviation of the outermost rows (top, bottom) and columns (left, right); colours: mean R-G and
    G-B of each of the 256 grey levels, int16 (512,); thumbnail: grey uint8 (64, 96).
    """

    file_format: str
    mode: str
    width: int
    height: int
    n_bytes: int
    brightness: np.ndarray
    edges: np.ndarray
    colours: np.ndarray
    colour_map: str
    thumbnail: np.ndarray


def look_at(file: Path, pixels: np.ndarray | None = None) -> Look:
    """The look of a picture file; ValueError if it is unreadable.

    pixels: what `read_picture` gave for it, uint8 (H, W, 3), to spare a second decoding.
    """
    if pixels is None:
        pixels = read_picture(file)
    with Image.open(file) as image:
        file_format, mode, (width, height) = str(image.format), image.mode, image.size
    picture = Image.fromarray(pixels).convert("L")
    grey = np.asarray(picture)
    edge_lines = (grey[:EDGE], grey[-EDGE:], grey[:, :EDGE], grey[:, -EDGE:])
    quartiles = np.quantile(grey[::4, ::4], (0.25, 0.5, 0.75))
    return Look(
        file_format, mode, width, height, file.stat().st_size,
        np.array([*picture.getextrema(), grey.mean(), grey.std(), *quartiles]),
        np.array([figure for line in edge_lines for figure in (line.mean(), line.std())]),
        _colour_table(pixels[::2, ::2], grey[::2, ::2]), colour_map_of(pixels),
        np.asarray(picture.resize(THUMBNAIL, Image.Resampling.BOX)),
    )  # fmt: skip


def _colour_table(pixels: np.ndarray, grey: np.ndarray) -> np.ndarray:
    level = grey.ravel()
    red, green, blue = (pixels[..., i].ravel().astype(np.int16) for i in range(3))
    n = np.bincount(level, minlength=256)
    tables = []
    for difference in (red - green, green - blue):
        total = np.bincount(level, weights=difference, minlength=256)
        tables.append(np.where(n > 0, np.round(total / np.maximum(n, 1)), NO_COLOUR))
    return np.concatenate(tables).astype(np.int16)


def colour_map_of(pixels: np.ndarray) -> str:
    """The name of the matplotlib colour map that a picture uint8 (H, W, 3) is drawn with.

    "other" when no usual map has its colours: axes, photographs, or several layers in RGB.
    """
    flat = pixels.reshape(-1, 3)
    some = flat[:: max(1, len(flat) // 100)].astype(np.float32)
    distances = {name: float(tree.query(some)[0].mean()) for name, tree in _colour_trees().items()}
    best = min(distances, key=lambda name: distances[name])
    return best if distances[best] < COLOUR_MAP_DISTANCE else "other"


@cache
def _colour_trees() -> dict[str, cKDTree]:
    from matplotlib import colormaps

    steps = np.linspace(0, 1, 256)
    return {name: cKDTree(255 * colormaps[name](steps)[:, :3]) for name in COLOUR_MAPS}


def survey(
    files: Sequence[Path], pixels: Decoded | None = None
) -> tuple[list[Look | None], dict[int, str]]:
    """(the look of each file, {position: why it is unreadable}); unreadable ones are None.

    pixels: the same pictures when they are decoded already.
    """
    failures: dict[int, str] = {}

    def one(i: int) -> Look | None:
        try:
            return look_at(files[i], None if pixels is None else pixels[i])
        except ValueError as error:
            failures[i] = str(error)
            return None

    with ThreadPoolExecutor(cpu_count()) as pool:
        jobs = pool.map(one, range(len(files)))
        looks = list(tqdm(jobs, "looking", len(files), leave=False, disable=None, delay=1))
    return looks, dict(sorted(failures.items()))
