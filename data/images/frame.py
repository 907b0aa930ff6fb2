"""The frame that other programs draw around a spectrogram: margins, axes, titles, colour bars.

Figures have a plain background. Where the pictures of a folder differ from it solidly is the data;
ticks, text and colour bars are islands in it. Music is never taken for a frame: what is silent has
a colour that the rest of the music fades into, and nothing is written on it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PLAIN = 0.8  # part of an outermost line that has one colour, whatever text touches it
SAME = 16  # RGB steps within which JPEG leaves a colour
FADES = 64  # RGB steps: a background that no pixel of the music is that near to is not its own
FADING = 1e-3  # part of the data's pixels that may, at edges and in blurred JPEGs
SOLID = 0.5  # part of a row or column of the data that differs from the background
LINE = 0.95  # part of a row or column that is a drawn line
AROUND = 3  # pixels beside the data in which such a line may be
LEAST_DATA = 0.3  # part of each axis that the data takes
LEAST_CROPPED = 0.005  # part of the area below which a frame is not worth the cropping
SPINE = 0.008  # part of an axis that the line around the data may be thick
MANY = 8  # pictures of one size that show what all have in common
SHARP = 0.8  # how solid the first lines of the data are, in parts of all of it
ALWAYS = 0.9  # part of the pictures that a tick or label is in
STRIP = 64  # lines that are measured at a time: as float32, pixels take four times the memory
MARKED = 5e-4  # part of a margin that ticks and labels take


class Box(NamedTuple):
    """The pixels left <= x < right and top <= y < bottom of a picture."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.right - self.left, self.bottom - self.top

    def scaled(self, across: float, down: float) -> "Box":
        """The same part of a picture that was made smaller; at least a pixel of it."""
        left, top = int(self.left * across), int(self.top * down)
        right, bottom = round(self.right * across), round(self.bottom * down)
        return Box(left, top, max(left + 1, right), max(top + 1, bottom))

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """The part of a picture (H, W, ...) in this box."""
        return pixels[self.top : self.bottom, self.left : self.right]


def find_frame(pictures: Sequence[np.ndarray]) -> Box | None:
    """Where the data is in pictures of one size, uint8 (H, W, 3); None when there is no frame.

    One picture is enough for margins in a colour that its music has not; black margins around
    music that is black where it is silent need eight with ticks, or margins on all four sides, of
    which only what is never drawn upon is cropped.
    """
    stack = np.stack(pictures)
    for background in _backgrounds(stack):
        distance = _distance(stack, background)
        box = _data_box(distance)
        if box and _is_frame(stack, distance, box):
            return _without_spines(stack, distance, box)
        if len(stack) >= MANY and (box := _drawn_upon(distance)):
            return box
    return None


def _backgrounds(stack: np.ndarray) -> list[np.ndarray]:
    """The colours int16 (3,) of plain sides, those of the most sides first."""
    sides = (stack[:, 0], stack[:, -1], stack[:, :, 0], stack[:, :, -1])
    found: list[tuple[int, np.ndarray]] = []
    for side in sides:
        pixels = side.reshape(-1, 3).astype(np.int16)
        colour = np.median(pixels, axis=0).astype(np.int16)
        if (np.abs(pixels - colour).max(axis=1) <= SAME).mean() < PLAIN:
            continue
        same = [i for i, (_, other) in enumerate(found) if np.abs(other - colour).max() <= SAME]
        if same:
            found[same[0]] = (found[same[0]][0] + 1, found[same[0]][1])
        else:
            found.append((1, colour))
    return [colour for _, colour in sorted(found, key=lambda pair: -pair[0])]


def _distance(stack: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The largest difference uint8 (n, H, W) of a channel of (n, H, W, 3) from a colour."""
    largest = np.zeros(stack.shape[:3], np.uint8)
    for i, level in enumerate(background.astype(np.uint8)):
        channel = stack[..., i]
        distance = np.where(channel > level, channel - level, level - channel)
        np.maximum(largest, distance, out=largest)
    return largest


def _data_box(distance: np.ndarray) -> Box | None:
    """The largest solid rectangle by the distance (n, H, W) from the background."""
    share = (distance > SAME).mean(axis=0)  # (H, W), of the pictures that differ from it
    height, width = share.shape
    top, bottom, left, right = 0, height, 0, width
    for _ in range(4):  # rows are judged by the columns of the data, and columns by its rows
        columns = _longest_run(share[top:bottom].mean(axis=0))
        left, right = columns
        rows = _longest_run(share[:, left:right].mean(axis=1))
        if (top, bottom) == rows:
            break
        top, bottom = rows
    # Silence in the colour of the background ends at the lines that are drawn around the data.
    top, bottom = _to_lines(share, (top, bottom), (left, right))
    left, right = _to_lines(share.T, (left, right), (top, bottom))
    if right - left < LEAST_DATA * width or bottom - top < LEAST_DATA * height:
        return None
    return Box(left, top, right, bottom)


def _longest_run(solid: np.ndarray) -> tuple[int, int]:
    """(start, end) of the longest run of lines that are half as solid as the most solid ones."""
    high = np.concatenate([[False], solid >= SOLID * np.quantile(solid, 0.95), [False]])
    edges = np.flatnonzero(high[1:] != high[:-1])
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])


def _to_lines(
    share: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]
) -> tuple[int, int]:
    """The rows (start, end) of the data, up to lines across it that lines along it lead to."""
    beside = slice(max(0, columns[0] - AROUND), columns[1] + AROUND)
    across = np.flatnonzero(share[:, columns[0] : columns[1]].mean(axis=1) >= LINE)
    start, end = rows
    if len(across) and across[0] < start:
        gap = share[across[0] : start, beside]
        start = int(across[0]) if (gap.mean(axis=0) >= LINE).any() else start
    if len(across) and across[-1] >= end:
        gap = share[end : across[-1] + 1, beside]
        end = int(across[-1]) + 1 if (gap.mean(axis=0) >= LINE).any() else end
    return start, end


def _is_frame(stack: np.ndarray, distance: np.ndarray, box: Box) -> bool:
    """Whether what is around the box is a frame, and not silence at the edges of the music.

    Silence is on one side or on two, nothing is written in it, and music comes near its colour.
    """
    n, height, width = distance.shape
    if box.size[0] * box.size[1] > (1 - LEAST_CROPPED) * height * width:
        return False
    always = (distance > SAME).mean(axis=0) >= ALWAYS  # (H, W)
    margins = [
        always[: box.top],
        always[box.bottom :],
        always[:, : box.left],
        always[:, box.right :],
    ]
    n_sides = sum(margin.size > 0 for margin in margins)
    n_marked = sum(margin.size > 0 and margin.mean() > MARKED for margin in margins)
    inside = distance[:, box.top + 2 : box.bottom - 2, box.left + 2 : box.right - 2]
    if (inside < FADES).mean() < FADING and (n_sides >= 3 or n_marked >= 2):
        return True
    if n >= MANY and n_marked >= 2:
        return True
    if all(_is_drawn(line) for line in _outlines(stack, box)):
        return True
    return n_sides == 4 and n_marked == 0 and _has_sharp_edges(distance, box)


def _outlines(stack: np.ndarray, box: Box) -> list[np.ndarray]:
    """The pixels (n, AROUND, length, 3) along each edge of the data."""
    inside = stack[:, box.top : box.bottom, box.left : box.right]
    down = inside.transpose(0, 2, 1, 3)
    return [inside[:, :AROUND], inside[:, -AROUND:], down[:, :AROUND], down[:, -AROUND:]]


def _is_drawn(edge: np.ndarray) -> bool:
    """Whether one of the lines of an edge (n, AROUND, length, 3) has one colour, as axes have."""
    middle = np.median(edge, axis=(0, 2), keepdims=True)
    return bool(((np.abs(edge - middle) <= SAME).all(axis=3).mean(axis=(0, 2)) >= LINE).any())


def _has_sharp_edges(distance: np.ndarray, box: Box, *, but: int = 0) -> bool:
    """Whether the data begins at once on all sides, but so many; music fades in from silence."""
    inside = box.of((distance > SAME).mean(axis=0))
    edges = (
        inside[:3].mean(axis=1).max(),
        inside[-3:].mean(axis=1).max(),
        inside[:, :3].mean(axis=0).max(),
        inside[:, -3:].mean(axis=0).max(),
    )
    return bool(sorted(edges)[but] >= SHARP * inside.mean())


def _drawn_upon(distance: np.ndarray) -> Box | None:
    """Where any of many pictures differs from margins that all have on all four sides.

    The music may fade into the colour of the margins on one of them, at high frequencies.
    """
    _, height, width = distance.shape
    drawn: np.ndarray = np.any(distance > SAME, axis=0)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if not len(rows):
        return None
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    (across, down), kept = box.size, box.size[0] * box.size[1] / (height * width)
    inside = box.left > 0 and box.top > 0 and box.right < width and box.bottom < height
    large = across >= LEAST_DATA * width and down >= LEAST_DATA * height
    if inside and large and kept <= 1 - LEAST_CROPPED and _has_sharp_edges(distance, box, but=1):
        return box
    return None


def _without_spines(stack: np.ndarray, distance: np.ndarray, box: Box) -> Box:
    """The box less the lines around the data: of one colour, or blurred with the background."""
    pixels = stack[:, box.top : box.bottom, box.left : box.right]
    blurred = box.of((distance <= FADES).mean(axis=0))
    lines_across = (_deviations(pixels), blurred.mean(axis=1))
    lines_down = (_deviations(pixels.transpose(0, 2, 1, 3)), blurred.mean(axis=0))
    top, bottom = _spines(*lines_across)
    left, right = _spines(*lines_down)
    return Box(box.left + left, box.top + top, box.right - right, box.bottom - bottom)


def _deviations(pixels: np.ndarray) -> np.ndarray:
    """The largest deviation of a channel in each line, float32 (lines,), of (n, lines, W, 3)."""
    strips = (pixels[:, i : i + STRIP].astype(np.float32) for i in range(0, pixels.shape[1], STRIP))
    return np.concatenate([strip.std(axis=(0, 2)).max(axis=1) for strip in strips])


def _spines(deviation: np.ndarray, blurred: np.ndarray) -> tuple[int, int]:
    """How many of the first and of the last lines belong to the frame."""
    most = max(2, round(SPINE * len(deviation)))
    usual = np.median(deviation)
    drawn = (deviation < 0.25 * usual) | (blurred > np.median(blurred) + 0.5)
    first = np.flatnonzero(drawn[:most])
    last = np.flatnonzero(drawn[::-1][:most])
    return (int(first[-1]) + 1 if len(first) else 0), (int(last[-1]) + 1 if len(last) else 0)
