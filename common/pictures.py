"""The one place that opens pictures: which formats, how large, and how many at once."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from common.streams import c_stderr_silenced

# By the first bytes, whatever the name: no format whose reader starts another program (EPS).
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MAX_PIXELS = 50_000_000  # 25 times a screen; what is learnt from is a hundredth of it
MAX_GIF_PREFACE = 2**20  # bytes before the first picture: Pillow's time for comments is quadratic
MAX_RLE_BYTES = 2**23  # of a BMP in runs, which Pillow decodes one by one in Python: some 5 s
CLEAR = 0.8  # part of the outermost lines of a transparent figure, whatever text touches them
ROWS = 256  # that are converted at a time
BLOCK = 2**26  # bytes of memory that Pillow takes at a time for a large picture

# Blocks of 32 MiB or less stay with the thread that decoded, once they were used, on every core.
Image.core.set_block_size(BLOCK)  # type: ignore[attr-defined]


class _Budget:
    """Pixels that may be decoded at the same time, by all threads together."""

    def __init__(self, total: int) -> None:
        self._left, self._freed = total, threading.Condition()

    @contextmanager
    def of(self, n: int) -> Iterator[None]:
        with self._freed:
            self._freed.wait_for(lambda: self._left >= n)
            self._left -= n
        try:
            yield
        finally:
            with self._freed:
                self._left += n
                self._freed.notify_all()


_budget = _Budget(MAX_PIXELS)


@contextmanager
def open_picture(source: str | Path | BinaryIO) -> Iterator[Image.Image]:
    """A picture whose header is read and whose pixels are not.

    Raises ValueError if it has too many pixels or would take minutes to decode, Pillow's
    UnidentifiedImageError for other formats, OSError and SyntaxError for damage.
    """
    with ExitStack() as stack:
        stack.enter_context(c_stderr_silenced())
        if isinstance(source, str | Path):
            source = stack.enter_context(Path(source).open("rb"))
        _check_time(source)
        try:
            image = stack.enter_context(Image.open(source, formats=FORMATS))
        except Image.DecompressionBombError as error:
            raise ValueError(str(error)) from None
        if (n := image.width * image.height) > MAX_PIXELS:
            raise ValueError(f"{image.width}x{image.height} pixels; expected at most {MAX_PIXELS}")
        stack.enter_context(_budget.of(n))
        try:
            yield image
        finally:
            image.close()  # its pixels go before others may come


def _check_time(file: BinaryIO) -> None:
    """Raise ValueError for kinds of files whose time does not depend on their pixels alone."""
    start = file.read(34)
    if start[:6] in (b"GIF87a", b"GIF89a"):
        _check_gif_preface(file)
    if start[:2] in (b"P1", b"P2", b"P3"):
        raise ValueError("its pixels are text; save it as PNG")
    in_runs = start[:2] == b"BM" and start[30:34] in (b"\1\0\0\0", b"\2\0\0\0")
    if in_runs and file.seek(0, 2) > MAX_RLE_BYTES:
        raise ValueError("a large BMP in runs; save it as PNG")
    file.seek(0)


def _check_gif_preface(file: BinaryIO) -> None:
    """Raise ValueError if more than MAX_GIF_PREFACE bytes, comments, precede the picture."""
    file.seek(10)
    flags = file.read(3)[:1]
    if flags and flags[0] & 0x80:
        file.seek(3 << (flags[0] & 7) + 1, 1)  # the palette
    while file.read(1) == b"!":
        file.read(1)  # the kind of the extension
        while size := file.read(1):
            if size == b"\0":
                break
            if file.seek(size[0], 1) > MAX_GIF_PREFACE:
                raise ValueError("a GIF with no picture in its first MiB")


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture in RGB, 8 bits each.

    16-bit and float grey is scaled by its type's range, where Pillow would clip it at 255;
    transparency is laid on black, the colour of silence, so that the hidden colour under
    transparent pixels does not matter, and on white where all margins are transparent, as those of
    figures are. Strip by strip: at no time are there more copies than two. A picture that is RGB
    is returned itself, and closes with its file.
    """
    deep = image.mode.startswith(("I", "F"))
    if not deep and not image.has_transparency_data:
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")
    top = _brightest(image) if deep else 0.0
    rgb = Image.new("RGB", image.size)
    paper = (0, 0, 0, 255) if deep or not _has_clear_margins(image) else (255, 255, 255, 255)
    for y in range(0, image.height, ROWS):
        strip = image.crop((0, y, image.width, min(y + ROWS, image.height)))
        if deep:
            grey = np.nan_to_num(np.asarray(strip).astype(np.float64))
            levels = (grey / top * 255).clip(0, 255).round().astype(np.uint8)
            rgb.paste(Image.fromarray(levels).convert("RGB"), (0, y))
        else:
            strip = strip.convert("RGBA")
            below = Image.new("RGBA", strip.size, paper)
            rgb.paste(Image.alpha_composite(below, strip).convert("RGB"), (0, y))
    return rgb


def _has_clear_margins(image: Image.Image) -> bool:
    """Whether all four sides are transparent, but for text, as matplotlib saves figures.

    So is a picture that is empty: then the middle is transparent as well.
    """
    width, height = image.size
    sides = ((0, 0, width, 1), (0, height - 1, width, height),
             (0, 0, 1, height), (width - 1, 0, width, height))  # fmt: skip
    middle = (width // 2, height // 2, width // 2 + 1, height // 2 + 1)
    *clear, empty = (
        (np.asarray(image.crop(box).convert("RGBA").getchannel("A")) == 0).mean()
        for box in (*sides, middle)
    )
    return min(clear) >= CLEAR and not empty


def _brightest(image: Image.Image) -> float:
    """The value that stands for white: 1, 255 or 65535, the least that fits the grey picture."""
    if image.mode.startswith("I;16"):
        return 65535.0
    most = float(np.fmax.reduce(np.asarray(image), axis=None, initial=0))  # whatever is no number
    if most > 255:
        return 65535.0
    return 1.0 if image.mode == "F" and most <= 1 else 255.0
