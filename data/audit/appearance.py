"""What can be measured of a picture file without asking what it shows."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import cpu_count
from pathlib import Path

import numpy as np
from PIL import Image

from common.pictures import open_picture
from common.progress import tracked
from data.images.colour_map import nearest_colour_map
from data.images.drawing import PLAIN, Drawing
from data.images.read import looked_at

THUMBNAIL = (96, 64)  # width, height
EDGE = 2  # outermost rows and columns that count as the edge
STRIP = 64  # rows whose colours are counted at a time
NO_COLOUR = -1024  # stands in a colour table for a grey level that no pixel has


@dataclass(frozen=True)
class Appearance:
    """The outside of one picture.

    brightness: darkest, brightest, mean, deviation and quartiles in grey steps; edges: mean and
    deviation of the outermost rows (top, bottom) and columns (left, right); colours: mean R-G and
    G-B of each of the 256 grey levels, int16 (512,); colour_map: of what is in the frame;
    thumbnail: grey uint8 (64, 96).
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


def measure_appearance(file: Path, drawing: Drawing = PLAIN) -> Appearance:
    """The look of a picture file; ValueError if it is unreadable.

    drawing: tells the frame, which is no part of what the colour map is told by.
    """
    with open_picture(file) as image:
        header = (str(image.format), image.mode, *image.size)
    with looked_at(file) as pixels:
        box = drawing.box_of(header[2:])
        if box and pixels.shape[1::-1] != header[2:]:
            box = box.scaled(pixels.shape[1] / header[2], pixels.shape[0] / header[3])
        colour_map = nearest_colour_map(box.of(pixels) if box else pixels)
        return _measured(pixels, header, file.stat().st_size, colour_map)


def _measured(
    pixels: np.ndarray, header: tuple[str, str, int, int], n_bytes: int, colour_map: str
) -> Appearance:
    picture = Image.fromarray(pixels).convert("L")
    grey = np.asarray(picture)
    edge_lines = (grey[:EDGE], grey[-EDGE:], grey[:, :EDGE], grey[:, -EDGE:])
    quartiles = np.quantile(grey[::4, ::4], (0.25, 0.5, 0.75))
    return Appearance(
        *header,
        n_bytes,
        np.array([*picture.getextrema(), grey.mean(), _deviation(picture), *quartiles]),
        np.array([figure for line in edge_lines for figure in (line.mean(), line.std())]),
        _colour_table(pixels[::2, ::2], grey[::2, ::2]),
        colour_map,
        np.asarray(picture.resize(THUMBNAIL, Image.Resampling.BOX)),
    )


def _deviation(grey: Image.Image) -> float:
    """The standard deviation of the levels, without a copy in float64 of each pixel."""
    n, levels = np.array(grey.histogram(), dtype=float), np.arange(256)
    mean = np.average(levels, weights=n)
    return float(np.average((levels - mean) ** 2, weights=n) ** 0.5)


def _colour_table(pixels: np.ndarray, grey: np.ndarray) -> np.ndarray:
    n, totals = np.zeros(256, int), np.zeros((2, 256))
    for y in range(0, len(grey), STRIP):  # whole, there would be copies of eight bytes a pixel
        level = grey[y : y + STRIP].ravel()
        red, green, blue = (pixels[y : y + STRIP, :, i].ravel().astype(np.int16) for i in range(3))
        n += np.bincount(level, minlength=256)
        for total, difference in zip(totals, (red - green, green - blue), strict=True):
            total += np.bincount(level, weights=difference, minlength=256)
    tables = np.where(n > 0, np.round(totals / np.maximum(n, 1)), NO_COLOUR)
    return tables.ravel().astype(np.int16)


def measure_appearances(files: Sequence[Path], drawing: Drawing = PLAIN) -> list[Appearance]:
    """The look of each readable file, as it was drawn: with its frame, in its colours."""
    with ThreadPoolExecutor(cpu_count()) as pool:
        jobs = pool.map(partial(measure_appearance, drawing=drawing), files)
        return list(tracked(jobs, "looking at pictures", len(files), "pictures"))
