"""How the pictures of a folder are drawn, and what is undone of it before a network sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from common.fields import Fields
from data.images.colour_map import (
    COLOUR_MAPS,
    OTHER,
    SHOWN,
    attack,
    levels_of,
    nearest_colour_map,
    recoloured,
    slope,
)
from data.images.frame import Box, find_frame

Size = tuple[int, int]
SAME_MAP = 0.9  # part of the pictures that must be drawn with known colour maps
MOST_FRAMES = 1000  # sizes of pictures in one folder
MOST_SIDE = 65_535  # pixels of a picture's side
# One picture contradicts what is known of its folder when it is as clear as half a folder's mean.
CLEAR_ATTACK, CLEAR_SLOPE = 0.4, 40.0


class Frame(NamedTuple):
    """The data's place in pictures of a size (width, height); all of them without a frame."""

    size: Size
    box: Box


@dataclass(frozen=True)
class Drawing:
    """What is undone of a picture, in this order; nothing by default.

    frames: of the sizes that were looked at together; crop: whether a picture of another size is
    looked at alone; colour_map: what most pictures are drawn with, "" to leave colours as they are;
    inverted: whether loud is at the low end of that map; flip: whether pictures are turned upside
    down; loud_side: where a picture of this folder is louder, before that, "" when it is not known;
    shown: the map in whose colours the network sees what is read back from colour_map.
    """

    frames: tuple[Frame, ...] = ()
    crop: bool = False
    colour_map: str = ""
    inverted: bool = False
    flip: bool = False
    loud_side: Literal["", "below", "above"] = ""
    shown: str = SHOWN
    _boxes: dict[Size, Box] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Have the boxes by their sizes."""
        object.__setattr__(self, "_boxes", {frame.size: frame.box for frame in self.frames})

    def box_of(self, size: Size) -> Box | None:
        """Where the data is in pictures of this (width, height); None if that is not known."""
        return self._boxes.get(size) or (None if self.crop else Box(0, 0, *size))

    def undone(self, pixels: np.ndarray, size: Size) -> np.ndarray:
        """The data of a picture uint8 (H, W, 3) whose file has `size`, at most as many pixels."""
        height, width = pixels.shape[:2]
        known = size in self._boxes
        box = self.box_of(size)
        if box and (width, height) != size:  # decoded at a smaller scale
            box = box.scaled(width / size[0], height / size[1])
        box = box or find_frame([pixels]) or Box(0, 0, width, height)
        pixels = box.of(pixels)
        if self.colour_map:
            return self._recoloured(pixels, known)
        return pixels[::-1] if self.flip else pixels

    def _recoloured(self, pixels: np.ndarray, known: bool) -> np.ndarray:
        """The picture in the colours and the direction that the network sees.

        One of a size that the folder does not have was drawn by others: it tells itself whether
        loud is at the low end of its map, and on which side its low frequencies are.
        """
        name = nearest_colour_map(pixels, self.colour_map)
        if name == OTHER:
            return pixels[::-1] if self.flip else pixels
        if known and name == self.colour_map == self.shown and not self.inverted:
            return pixels[::-1] if self.flip else pixels
        levels = levels_of(pixels, name)
        inverted = self.inverted and name == self.colour_map
        if not known or name != self.colour_map:
            rise = attack(levels)
            inverted = rise < 0 if abs(rise) > CLEAR_ATTACK else inverted
        flip = self.flip
        if not known and self.loud_side:
            fall = slope(255 - levels if inverted else levels)
            if abs(fall) > CLEAR_SLOPE:
                flip = flip != (("below" if fall > 0 else "above") != self.loud_side)
        if inverted:
            pixels = recoloured(255 - levels, self.shown)
        elif name != self.shown:
            pixels = recoloured(levels, self.shown)
        return pixels[::-1] if flip else pixels

    def notes(self) -> list[str]:
        """Sentences on what is undone, and on low frequencies that seem to be on top."""
        said = []
        cropped = [frame for frame in self.frames if frame.box.size != frame.size]
        if cropped:
            (width, height), box = cropped[0]
            share = 1 - box.size[0] * box.size[1] / (width * height)
            n = len(cropped) - 1
            more = f", and pictures of {n} other size{'s' * (n > 1)}" if n else ""
            said.append(
                f"cropped {share:.0%} of margins: {box.size[0]}x{box.size[1]} of {width}x{height}"
                f"{more}; --no-crop keeps them"
            )
        if self.colour_map and (self.inverted or self.colour_map != self.shown):
            low = ", loud at its low end," if self.inverted else ""
            name = "shades" if self.colour_map == "gray" else "colours"
            said.append(f"the {name} of {self.colour_map}{low} are read back to levels")
        if self.loud_side == "above" and not self.flip:
            said.append("low frequencies seem to be on top: --flip turns the pictures")
        if self.loud_side == "below" and self.flip:
            said.append("with --flip, low frequencies seem to be on top now")
        return said

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON or a checkpoint."""
        return {
            "frames": [[*frame.size, *frame.box] for frame in self.frames],
            "crop": self.crop,
            "colour_map": self.colour_map,
            "inverted": self.inverted,
            "flip": self.flip,
            "loud_side": self.loud_side,
            "shown": self.shown,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> "Drawing":
        """The values that `to_dict` gave, checked; ValueError that names the wrong one."""
        listed = fields.values.get("frames") or []
        if not isinstance(listed, list | tuple) or len(listed) > MOST_FRAMES:
            raise ValueError(f"{fields.where}.frames: expected a list of {MOST_FRAMES} at most")
        rows = {str(i): row for i, row in enumerate(listed)}
        inside = Fields(rows, f"{fields.where}.frames")
        frames = []
        for name in rows:
            numbers = [int(n) for n in inside.numbers(name, 6, 0, MOST_SIDE)]
            width, height, left, top, right, bottom = numbers
            if not (left < right <= width and top < bottom <= height):
                raise ValueError(f"{inside.where}.{name} is {numbers}: no part of such a picture")
            frames.append(Frame((width, height), Box(left, top, right, bottom)))
        side, colour_map = fields.values.get("loud_side"), fields.values.get("colour_map")
        if side not in ("", "below", "above"):
            raise ValueError(f"{fields.where}.loud_side is {side!r:.60}; expected below or above")
        if colour_map not in (None, "", OTHER, *COLOUR_MAPS):
            raise ValueError(f"{fields.where}.colour_map is {colour_map!r:.60}: no such colour map")
        shown = str(fields.values.get("shown", SHOWN))
        if shown not in COLOUR_MAPS:
            raise ValueError(f"{fields.where}.shown is {shown!r:.60}: no such colour map")
        crop, inverted, flip = (
            bool(fields.values.get(name)) for name in ("crop", "inverted", "flip")
        )
        return cls(tuple(frames), crop, str(colour_map or ""), inverted, flip, side, shown)


PLAIN = Drawing()


class Colours(NamedTuple):
    """The colour map of one picture, and the `attack` and `slope` of its levels; 0 of "other"."""

    name: str
    rise: float
    fall: float

    @classmethod
    def of(cls, pixels: np.ndarray) -> "Colours":
        """Of a picture's data uint8 (H, W, 3)."""
        name = nearest_colour_map(pixels)
        if name == OTHER:
            return cls(name, 0.0, 0.0)
        levels = levels_of(pixels, name)
        return cls(name, attack(levels), slope(levels))


class Look(NamedTuple):
    """What some pictures of one size look like."""

    frame: Frame
    colours: list[Colours]


def look_at(size: Size, pictures: Sequence[np.ndarray], *, crop: bool) -> Look | None:
    """Look at pictures uint8 (H, W, 3) whose files have `size`, at that or smaller; None of none.

    crop: whether frames are looked for.
    """
    if not pictures:
        return None
    height, width = pictures[0].shape[:2]
    box = (find_frame(pictures) if crop else None) or Box(0, 0, width, height)
    colours = [Colours.of(box.of(one)) for one in pictures]
    if (width, height) != size:
        box = box.scaled(size[0] / width, size[1] / height)
    return Look(Frame(size, box), colours)


def drawing_of(looks: Sequence[Look], *, crop: bool, flip: bool, shown: str = SHOWN) -> Drawing:
    """How the pictures of a folder are drawn, by some of each of its sizes.

    shown: the map in whose colours the network is to see them.
    """
    frames = tuple(look.frame for look in looks)
    colours = [one for look in looks for one in look.colours]
    known = [one.name for one in colours if one.name != OTHER]
    if len(known) < SAME_MAP * len(colours) or not known:
        return Drawing(frames, crop, flip=flip, shown=shown)
    colour_map = max(sorted(set(known)), key=known.count)
    rises = np.array([one.rise for one in colours if one.name == colour_map])
    inverted = bool(rises.mean() < -CLEAR_ATTACK / 2 and (rises < 0).mean() > 0.8)
    falls = np.array([one.fall for one in colours if one.name == colour_map])
    falls *= -1 if inverted else 1
    side: Literal["", "below", "above"] = ""
    if abs(falls.mean()) > CLEAR_SLOPE / 2 and (falls * falls.mean() > 0).mean() > 0.8:
        side = "below" if falls.mean() > 0 else "above"
    return Drawing(frames, crop, colour_map, inverted, flip, side, shown)
