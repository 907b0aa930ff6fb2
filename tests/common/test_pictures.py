"""Pictures of anybody's: which are opened, with how much memory, and as which colours."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from common import pictures
from common.pictures import MAX_PIXELS, open_picture, to_rgb
from tests.damage import at_most, png_header

SIZE = (301, 700)  # height, width: two strips, one of them not whole


def test_postscript_is_no_picture_whatever_its_name(tmp_path: Path) -> None:
    """Pillow would start Ghostscript for it."""
    file = tmp_path / "x.png"
    file.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n%%EOF\n")
    with pytest.raises(UnidentifiedImageError), open_picture(file):
        pass


@pytest.mark.parametrize("side", [7072, 13_000, 60_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path, side: int) -> None:
    file = tmp_path / "bomb.png"
    file.write_bytes(png_header(side, side))
    with at_most(50, 2), pytest.raises(ValueError, match="pixels"), open_picture(file):
        pass


def test_the_largest_16_bit_picture_takes_less_than_half_a_gigabyte() -> None:
    """As float64, which it was once, it takes 400 MB more."""
    image = Image.new("I;16", (7000, MAX_PIXELS // 7000))
    with at_most(450, 60):
        assert to_rgb(image).size == image.size


@pytest.mark.parametrize(
    ("mode", "top", "white"),
    [
        ("I;16", 65535, 65535),
        ("I", 65535, 65535),
        ("I", 255, 255),
        ("F", 1.0, 1.0),
        ("F", 200.0, 255),
    ],
)
def test_grey_of_many_levels_is_scaled_by_the_whole_pictures_range(
    mode: str, top: float, white: float
) -> None:
    values = np.linspace(0, top, SIZE[0] * SIZE[1]).reshape(SIZE)[::-1]  # the top is in strip one
    kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
    values = np.ascontiguousarray(values.astype(kind))
    expected = (values.astype(np.float64) / white * 255).round().astype(np.uint8)
    found = np.asarray(to_rgb(Image.fromarray(values)))
    assert np.array_equal(found, np.repeat(expected[:, :, None], 3, axis=2))


def test_transparency_is_laid_on_black() -> None:
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (*SIZE, 4), dtype=np.uint8)
    found = np.asarray(to_rgb(Image.fromarray(rgba))).astype(int)
    expected = rgba[..., :3].astype(float) * rgba[..., 3:] / 255
    assert np.abs(found - expected).max() <= 1


def test_large_pictures_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_budget", pictures._Budget(10_000))
    file = tmp_path / "a.png"
    Image.new("L", (60, 100)).save(file)
    at_once, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal at_once, most
        with open_picture(file):
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.05)
            with lock:
                at_once -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 1
