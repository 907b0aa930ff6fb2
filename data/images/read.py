"""Any picture file to RGB pixels, with Pillow and numpy only: ONNX prediction has no torch."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from common.fields import Fields
from common.files import check_regular
from common.pictures import open_picture, to_rgb
from common.recordings import PICTURES
from data.images.colour_map import SHOWN
from data.images.drawing import PLAIN, Drawing, drawing_of, look_at

MAX_SIDE, MAX_INPUT_PIXELS = 16_384, 4096 * 4096  # of a network's input; more is an error
N_MEASURED = 1000  # pictures, spread over all, whose sizes are read
MOST_SIZES = 20  # sizes whose pictures are looked at together; others are, one by one
MOST_TOGETHER = 32  # pictures of a size that are looked at together
MOST_PIXELS = 40_000_000  # of them
MOST_LOOKED_AT = 16_000_000  # pixels of a picture, where what it looks like is measured


@dataclass(frozen=True)
class ImageSpec:
    """What turns a picture into a network's input; it travels in the model file.

    width, height: of the input; canvas: (width, height) at which pictures are kept, before they are
    brought to that size; mean, std: of the channels, in [0, 1], as the backbone expects them;
    drawing: what is undone of how they are drawn.
    """

    width: int
    height: int
    canvas: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    drawing: Drawing = PLAIN

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON or a checkpoint."""
        lists = {"canvas": [*self.canvas], "mean": [*self.mean], "std": [*self.std]}
        return {**vars(self), **lists, "drawing": self.drawing.to_dict()}

    @classmethod
    def from_fields(cls, fields: Fields) -> "ImageSpec":
        """The values that `to_dict` gave, checked; ValueError that names the wrong one."""
        width, height = (fields.integer(name, 1, MAX_SIDE) for name in ("width", "height"))
        canvas = fields.numbers("canvas", 2, 1, MAX_SIDE)
        for w, h in ((width, height), canvas):
            if w * h > MAX_INPUT_PIXELS:
                raise ValueError(
                    f"{fields.where} has {w:.0f}x{h:.0f} pixels; expected at most "
                    f"{MAX_INPUT_PIXELS} of them"
                )
        mean, std = fields.numbers("mean", 3), fields.numbers("std", 3, low=1e-6)
        section = fields.optional_section("drawing")
        drawing = Drawing.from_fields(section) if section else PLAIN
        return cls(width, height, (int(canvas[0]), int(canvas[1])), mean, std, drawing)


def read_picture(
    path: str | Path, canvas: tuple[int, int] | None = None, drawing: Drawing = PLAIN
) -> np.ndarray:
    """RGB pixels, uint8 (H, W, 3), at `canvas` = (width, height) or, without one, the file's size.

    What `drawing` says is undone before that: its frame is cropped and its colours are read back.
    16-bit and float grey is scaled to 8 bits by its type's range; transparency is laid on black,
    the colour of silence, so that the hidden colour under transparent pixels does not matter.
    Raises ValueError that names the file when it is no readable picture.
    """
    with _held(path, canvas, drawing) as pixels:
        return pixels


@contextmanager
def looked_at(path: Path, drawing: Drawing = PLAIN) -> Iterator[np.ndarray]:
    """`read_picture` at the file's size, or at half, a third, ... if it has over MOST_LOOKED_AT.

    Inside, its pixels count as being decoded: what is looked at on all cores at once, and the
    copies that looking takes, would else be gigabytes. So open no other picture there.
    """
    width, height = _size(path) or (0, 0)
    part = _reduced_by(width * height)
    canvas = (-(-width // part), -(-height // part)) if part > 1 else None
    with _held(path, canvas, drawing) as pixels:
        yield pixels


@contextmanager
def _held(
    path: str | Path, canvas: tuple[int, int] | None, drawing: Drawing
) -> Iterator[np.ndarray]:
    """What `read_picture` gives; inside, the pixels of the file count as being decoded."""
    check_regular(path)
    with ExitStack() as held:
        try:
            image = held.enter_context(open_picture(path))
            pixels = _decoded(image, canvas, drawing)
            image.close()  # what was decoded goes; its share of the memory is for looking at it
        except UnidentifiedImageError:
            expected = " ".join(PICTURES)
            raise ValueError(f"{path}: not a picture; expected one of {expected}") from None
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise ValueError(f"{path}: unreadable picture ({error})") from None
        yield pixels


def _decoded(image: Image.Image, canvas: tuple[int, int] | None, drawing: Drawing) -> np.ndarray:
    size = image.size
    if canvas and image.format == "JPEG" and (box := drawing.box_of(size)):
        # The decoder halves for free; twice the canvas is left so that resizing smooths.
        (width, height), (across, down) = box.size, size
        image.draft(None, (2 * canvas[0] * across // width, 2 * canvas[1] * down // height))
    rgb = to_rgb(image)
    if canvas and (part := _reduced_by(rgb.width * rgb.height)) > 1:  # few copies of it whole
        rgb = rgb.reduce(part)
        image.close()
    return at_canvas(rgb, size, canvas, drawing)


def _reduced_by(n_pixels: int) -> int:
    """The part of both sides, 1 / this, at which so many pixels are MOST_LOOKED_AT or fewer."""
    return max(1, math.ceil((n_pixels / MOST_LOOKED_AT) ** 0.5))


def at_canvas(
    rgb: Image.Image, size: tuple[int, int], canvas: tuple[int, int] | None, drawing: Drawing
) -> np.ndarray:
    """What `read_picture` gives for an RGB picture whose file has `size`."""
    if drawing != PLAIN:
        rgb = Image.fromarray(np.ascontiguousarray(drawing.undone(np.asarray(rgb), size)))
    if canvas and rgb.size != tuple(canvas):
        rgb = rgb.resize(canvas, Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def whole_picture(pixels: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """The whole picture at the network's size, uint8 (height, width, 3), without torch.

    Same filter as `data.images.transforms.whole`, which torch computes; off by one step at most.
    """
    image = Image.fromarray(pixels)
    return np.array(image.resize((spec.width, spec.height), Image.Resampling.BILINEAR))


def canvas_for(sizes: list[tuple[int, int]], width: int, height: int) -> tuple[int, int]:
    """(width, height) at which decoded pictures are kept: their commonest size, within bounds.

    At most twice the network's input of `width` x `height` on either axis: a crop of half an axis
    shows no more.
    """
    common = max(sorted(set(sizes)), key=sizes.count)
    return min(common[0], 2 * width), min(common[1], 2 * height)


def picture_sizes(files: list[Path]) -> list[tuple[int, int] | None]:
    """(width, height) of each file from its header; None where there is no readable header."""

    with ThreadPoolExecutor(cpu_count()) as pool:
        return list(pool.map(_size, files))


def _size(file: Path) -> tuple[int, int] | None:
    try:
        check_regular(file)
        with open_picture(file) as image:
            return image.size
    except (OSError, ValueError, SyntaxError):
        return None


def find_drawing(
    files: list[Path], *, crop: bool = True, flip: bool = False, shown: str = SHOWN
) -> Drawing:
    """How the pictures of a folder are drawn, from some of each of their commonest sizes.

    crop: whether margins are looked for; flip: whether pictures are to be turned upside down.
    """
    spread = np.linspace(0, len(files) - 1, min(len(files), N_MEASURED)).astype(int)
    some = [files[i] for i in spread]
    files_of: dict[tuple[int, int], list[Path]] = {}
    for file, size in zip(some, picture_sizes(some), strict=True):
        if size:
            files_of.setdefault(size, []).append(file)
    commonest = sorted(files_of.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_SIZES]
    looks = []
    for size, found in commonest:  # no two sizes at once: forty million pixels are enough
        most = int(np.clip(MOST_PIXELS / (size[0] * size[1]), 1, MOST_TOGETHER))
        chosen = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
        if look := look_at(size, _readable([found[i] for i in chosen]), crop=crop):
            looks.append(look)
    return drawing_of(looks, crop=crop, flip=flip, shown=shown)


def _readable(files: list[Path]) -> list[np.ndarray]:
    """Those of the pictures that can be read, as `looked_at` gives them."""

    def one(file: Path) -> np.ndarray | None:
        try:
            with looked_at(file) as pixels:
                return pixels
        except ValueError:
            return None

    with ThreadPoolExecutor(cpu_count()) as pool:
        return [pixels for pixels in pool.map(one, files) if pixels is not None]


def list_pictures(folder: Path) -> list[Path]:
    """Every picture file under a folder, sorted; hidden files and folders are passed over."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
