"""The colour map of a picture, and the same picture in the colours that networks here see.

Numpy only: ONNX prediction has no torch.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

# The colour maps that people draw spectrograms with, by matplotlib's names.
COLOUR_MAPS = (
    "gray",
    "magma",
    "inferno",
    "viridis",
    "plasma",
    "cividis",
    "jet",
    "turbo",
    "hot",
    "coolwarm",
    "hsv",
    "Blues",
    "Greys",
)
OTHER = "other"
SHOWN = "magma"  # what `python -m render` draws, and 1 % more accurate than grey (bench/RESULTS.md)
COLOUR_MAP_DISTANCE = 12  # mean distance in RGB steps of pixels that are drawn with a map
NO_FARTHER = 2  # RGB steps by which the expected map may fit worse than the best one
BITS = 6  # of each channel by which a colour is looked up: 262,144 colours
STRIP = 64  # rows that are looked up at a time
COLUMNS, ROWS = 200, 32  # about which a picture is reduced to before its changes are measured


def nearest_colour_map(pixels: np.ndarray, expected: str = OTHER) -> str:
    """The name of the matplotlib colour map that a picture uint8 (H, W, 3) is drawn with.

    "other" when no usual map has its colours: axes, photographs, or several layers in RGB.
    expected: what it is called when another map fits hardly better, as of a nearly silent picture.
    """
    flat = pixels.reshape(-1, 3)
    some = flat[:: max(1, len(flat) // 100)].astype(float)
    if expected != OTHER and _distances(some, (expected,))[expected] <= NO_FARTHER:
        return expected  # no other map can fit better by more: what most clips take
    distances = _distances(some, COLOUR_MAPS)
    best = min(distances, key=lambda name: distances[name])
    if distances.get(expected, np.inf) <= distances[best] + NO_FARTHER:
        best = expected
    return best if distances[best] < COLOUR_MAP_DISTANCE else OTHER


def _distances(pixels: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    """The mean distance of pixels float (n, 3) from the nearest colour of each map."""
    colours = np.concatenate([colours_of(name) for name in names]).astype(float)
    squared = (pixels**2).sum(axis=1, keepdims=True) - 2 * pixels @ colours.T
    squared += (colours**2).sum(axis=1)
    nearest = squared.reshape(len(pixels), len(names), -1).min(axis=2).clip(min=0)
    return dict(zip(names, np.sqrt(nearest).mean(axis=0).tolist(), strict=True))


def colours_of(name: str) -> np.ndarray:
    """The RGB colours uint8 (256, 3) of a map, from its low to its high end."""
    return _all_colours()[name]


@cache
def _all_colours() -> dict[str, np.ndarray]:
    """uint8 (256, 3) by name, as matplotlib has them: importing it doubles a prediction's start."""
    text = Path(__file__).with_name("colour_maps.json").read_text(encoding="utf-8")
    return {
        name: np.frombuffer(bytes.fromhex(colours), np.uint8).reshape(256, 3)
        for name, colours in json.loads(text).items()
    }


@cache
def levels_by_colour(name: str) -> np.ndarray:
    """The nearest level uint8 (2 ** 18,) of a map by the upper BITS of R, G and B."""
    from scipy.spatial import cKDTree  # here: importing it doubles a prediction's start

    side = np.arange(2**BITS) * 2 ** (8 - BITS) + 2 ** (7 - BITS)  # the middle of each part
    cube = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    return cKDTree(colours_of(name).astype(float)).query(cube)[1].astype(np.uint8)


def levels_of(pixels: np.ndarray, name: str) -> np.ndarray:
    """The levels uint8 (H, W) that a picture uint8 (H, W, 3) shows in a colour map."""
    if name == "gray":
        return np.asarray(Image.fromarray(pixels).convert("L"))
    table = levels_by_colour(name)
    levels = np.empty(pixels.shape[:2], np.uint8)
    for y in range(0, len(pixels), STRIP):  # else there are five copies of four bytes a pixel
        strip = pixels[y : y + STRIP]
        red, green, blue = (strip[..., i].astype(np.int32) >> (8 - BITS) for i in range(3))
        levels[y : y + STRIP] = table[(red << 2 * BITS) | (green << BITS) | blue]
    return levels


def recoloured(levels: np.ndarray, name: str = SHOWN) -> np.ndarray:
    """Levels uint8 (H, W) in the colours of a map, uint8 (H, W, 3)."""
    return colours_of(name)[levels]


def attack(levels: np.ndarray) -> float:
    """How much faster levels (H, W) rise than they fall: the skewness of their changes in time.

    Sounds begin faster than they end: 0.7 to 1.2 on the average of thirteen collections and
    renderings, and as much below 0 where loud is drawn with the low end of the colour map.
    """
    small = _reduced(levels)
    change = np.diff(small, axis=1)
    deviation = change.std()
    return float((change**3).mean() / deviation**3) if deviation > 0 else 0.0


def slope(levels: np.ndarray) -> float:
    """By how many levels the lowest row of (H, W) is above the highest one, by a straight line."""
    rows = _reduced(levels).mean(axis=1)
    return float(np.polyfit(np.linspace(0, 1, len(rows)), rows, 1)[0]) if len(rows) > 1 else 0.0


def _reduced(levels: np.ndarray) -> np.ndarray:
    height, width = levels.shape
    down, across = max(1, height // ROWS), max(1, width // COLUMNS)
    whole = levels[: height // down * down, : width // across * across].astype(np.float32)
    return whole.reshape(height // down, down, width // across, across).mean(axis=(1, 3))
