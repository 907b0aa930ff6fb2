"""Any picture file to RGB pixels, with Pillow and numpy only: ONNX prediction has no torch."""

from concurrent.futures import ThreadPoolExecutor
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

MAX_SIDE, MAX_INPUT_PIXELS = 16_384, 4096 * 4096  # of a network's input; more is an error


@dataclass(frozen=True)
class ImageSpec:
    """What turns a picture into a network's input; it travels in the model file.

    width, height: of the input; canvas: (width, height) at which pictures are kept, before they are
    brought to that size; mean, std: of the channels, in [0, 1], as the backbone expects them.
    """

    width: int
    height: int
    canvas: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON or a checkpoint."""
        return {**vars(self), "canvas": [*self.canvas], "mean": [*self.mean], "std": [*self.std]}

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
        return cls(width, height, (int(canvas[0]), int(canvas[1])), mean, std)


def read_picture(path: str | Path, canvas: tuple[int, int] | None = None) -> np.ndarray:
    """RGB pixels, uint8 (H, W, 3), at `canvas` = (width, height) or, without one, the file's size.

    16-bit and float grey is scaled to 8 bits by its type's range; transparency is laid on black,
    the colour of silence, so that the hidden colour under transparent pixels does not matter.
    Raises ValueError that names the file when it is no readable picture.
    """
    check_regular(path)
    try:
        with open_picture(path) as image:
            if canvas and image.format == "JPEG":
                # The decoder halves for free; twice the canvas is left so that resizing smooths.
                image.draft(None, (2 * canvas[0], 2 * canvas[1]))
            rgb = to_rgb(image)
    except UnidentifiedImageError:
        raise ValueError(f"{path}: not a picture; expected one of {' '.join(PICTURES)}") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: unreadable picture ({error})") from None
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

    def size(file: Path) -> tuple[int, int] | None:
        try:
            check_regular(file)
            with open_picture(file) as image:
                return image.size
        except (OSError, ValueError, SyntaxError):
            return None

    with ThreadPoolExecutor(cpu_count()) as pool:
        return list(pool.map(size, files))


def list_pictures(folder: Path) -> list[Path]:
    """Every picture file under a folder, sorted; hidden files and folders are passed over."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
