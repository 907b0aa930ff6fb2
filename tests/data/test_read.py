"""data.image: any picture file to the same RGB pixels, any bad file to one line."""

import os
import socket
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from common import pictures
from common.pictures import MAX_PIXELS
from data.images import read
from data.images.drawing import Drawing
from data.images.read import (
    ImageSpec,
    at_canvas,
    canvas_for,
    list_pictures,
    looked_at,
    picture_sizes,
    read_picture,
    whole_picture,
)
from tests.app.test_decoder import bmp_of_single_runs

H, W = 24, 32
GREY = np.linspace(0, 255, H * W).round().astype(np.uint8).reshape(H, W)  # every grey level
GREY_RGB = np.repeat(GREY[..., None], 3, axis=2)
COLOUR = np.random.default_rng(1).integers(0, 256, (H, W, 3), dtype=np.uint8)


def smooth(width: int, height: int) -> np.ndarray:
    """A picture without sharp edges, which lossy formats keep to a few steps."""
    x, y = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 3, height))
    waves = np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=-1)
    return (127.5 + 100 * waves).round().astype(np.uint8)


def read_back(image: Image.Image, file: Path, **options: object) -> np.ndarray:
    image.save(file, **options)
    pixels = read_picture(file)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (image.height, image.width, 3)
    return pixels


@pytest.mark.parametrize("suffix", ["png", "bmp"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_grey_picture_is_the_same_in_every_mode(tmp_path: Path, mode: str, suffix: str) -> None:
    image = Image.fromarray(GREY).convert(mode)
    assert np.array_equal(read_back(image, tmp_path / f"x.{suffix}"), GREY_RGB)


def test_palette_colours_are_looked_up(tmp_path: Path) -> None:
    """Our own renderer writes mode P: the index is a dB step, the colour is what networks see."""
    table = np.random.default_rng(2).integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(GREY)
    image.putpalette(table.tobytes())
    assert image.mode == "P"
    assert np.array_equal(read_back(image, tmp_path / "x.png"), table[GREY])


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    """Pillow's own convert would make every value above 255 white."""
    image = Image.fromarray(GREY.astype(np.uint16) * 257)
    assert np.array_equal(read_back(image, tmp_path / "x.png"), GREY_RGB)


def test_quiet_16_bit_grey_is_scaled_by_its_type_not_by_its_content(tmp_path: Path) -> None:
    dark = Image.fromarray(np.full((H, W), 200, np.uint16))
    assert read_back(dark, tmp_path / "x.png").max() == 1


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (255, 0, 255)])
def test_colour_under_transparent_pixels_does_not_matter(
    tmp_path: Path, hidden: tuple[int, int, int]
) -> None:
    opaque = np.arange(W) < W // 2  # the left half is seen
    rgba = np.empty((H, W, 4), np.uint8)
    rgba[..., :3] = np.where(opaque[:, None], COLOUR, np.array(hidden, np.uint8))
    rgba[..., 3] = np.where(opaque, 255, 0)
    expected = np.where(opaque[:, None], COLOUR, 0)
    assert np.array_equal(read_back(Image.fromarray(rgba), tmp_path / "x.png"), expected)


def test_half_transparent_is_laid_on_black(tmp_path: Path) -> None:
    rgba = Image.new("RGBA", (W, H), (200, 100, 50, 128))
    pixels = read_back(rgba, tmp_path / "x.png").astype(int)
    assert np.abs(pixels - np.array([100, 50, 25])).max() <= 1


@pytest.mark.parametrize("hidden", [0, 90, 255])
def test_grey_with_alpha(tmp_path: Path, hidden: int) -> None:
    alpha = np.where(np.arange(W) < W // 2, 255, 0).astype(np.uint8) * np.ones((H, 1), np.uint8)
    grey = np.where(alpha == 255, GREY, hidden).astype(np.uint8)
    image = Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))
    expected = np.where(alpha[..., None] == 255, GREY_RGB, 0)
    assert np.array_equal(read_back(image, tmp_path / "x.png"), expected)


def test_transparent_palette_entry_is_black(tmp_path: Path) -> None:
    image = Image.fromarray(GREY)
    image.putpalette([channel for i in range(256) for channel in (i, i, i)])
    pixels = read_back(image, tmp_path / "x.png", transparency=255)
    assert np.array_equal(pixels, np.where(GREY_RGB == 255, 0, GREY_RGB))


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    bits = GREY > 127
    expected = np.repeat(bits[..., None], 3, axis=2) * np.uint8(255)
    assert np.array_equal(read_back(Image.fromarray(bits), tmp_path / "x.png"), expected)


@pytest.mark.parametrize(("mode", "suffix"), [("RGB", "jpg"), ("RGB", "webp"), ("CMYK", "jpg")])
def test_lossy_formats_keep_the_colours(tmp_path: Path, mode: str, suffix: str) -> None:
    picture = smooth(64, 48)
    pixels = read_back(Image.fromarray(picture).convert(mode), tmp_path / f"x.{suffix}", quality=95)
    assert np.abs(pixels.astype(int) - picture).mean() < 4


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (300, 2), (33, 17)])
def test_any_size_is_read_and_resized_to_the_canvas(tmp_path: Path, size: tuple[int, int]) -> None:
    file = tmp_path / "x.png"
    Image.new("RGB", size, (10, 20, 30)).save(file)
    assert read_picture(file).shape == (size[1], size[0], 3)
    resized = read_picture(file, (40, 20))
    assert resized.shape == (20, 40, 3)
    assert (resized == (10, 20, 30)).all(), "resizing one colour keeps it"


def test_canvas_resize_keeps_the_sides_where_they_are(tmp_path: Path) -> None:
    half = np.zeros((H, W, 3), np.uint8)
    half[: H // 2, :, 0] = 255
    half[:, : W // 2, 1] = 255
    Image.fromarray(half).save(tmp_path / "x.png")
    small = read_picture(tmp_path / "x.png", (W // 2, H // 2))
    assert (small[0, :, 0] == 255).all() and (small[-1, :, 0] == 0).all()
    assert (small[:, 0, 1] == 255).all() and (small[:, -1, 1] == 0).all()


@pytest.mark.parametrize("canvas", [(80, 60), (100, 60), (150, 100)])
def test_jpeg_draft_is_close_to_the_full_decode(tmp_path: Path, canvas: tuple[int, int]) -> None:
    """The JPEG decoder's own halving is faster; it must not change what the network sees.

    On this texture the difference is 3 of 255 on average; drafting at the canvas's own size makes
    it 12.
    """
    coarse = np.random.default_rng(5).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)
    image.save(tmp_path / "x.jpg", quality=95)
    drafted = read_picture(tmp_path / "x.jpg", canvas).astype(int)
    with Image.open(tmp_path / "x.jpg") as image:
        full = np.asarray(image.convert("RGB").resize(canvas, Image.Resampling.BILINEAR))
    assert drafted.shape == (canvas[1], canvas[0], 3)
    assert np.abs(drafted - full).mean() < 4
    assert np.abs(drafted - full).max() <= 16


def bomb() -> bytes:
    """A PNG whose header claims 50000x50000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk


def png_bytes(folder: Path) -> bytes:
    Image.fromarray(COLOUR).save(folder / "whole.png")
    return (folder / "whole.png").read_bytes()


@pytest.mark.parametrize("damage", ["text", "truncated", "header only", "empty", "bomb", "folder"])
def test_a_damaged_file_is_a_value_error_that_names_it(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "damaged.png"
    whole = png_bytes(tmp_path)
    content = {
        "text": b"this is no picture",
        "truncated": whole[: len(whole) // 2],
        "header only": whole[:33],
        "empty": b"",
        "bomb": bomb(),
    }
    if damage == "folder":
        file.mkdir()
    else:
        file.write_bytes(content[damage])
    with pytest.raises(ValueError, match=r"damaged\.png") as caught:
        read_picture(file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_a_value_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.png: no such file"):
        read_picture(tmp_path / "nowhere.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # sizes that it invents
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_damaged_bytes_never_raise_anything_else(tmp_path: Path, suffix: str) -> None:
    """Training over a million files must not stop at one with an unforeseen exception."""
    file = tmp_path / f"x.{suffix}"
    Image.fromarray(COLOUR).save(file)
    whole = file.read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        for at in rng.integers(0, min(120, len(whole)), 3):
            damaged[at] = rng.integers(256)
        damaged = damaged[: rng.integers(1, len(whole)) if rng.random() < 0.3 else None]
        file.write_bytes(damaged)
        try:
            assert read_picture(file, (16, 16)).shape == (16, 16, 3)
        except ValueError as error:
            assert file.name in str(error)
            refused += 1
    assert refused > 0


def test_picture_sizes_come_from_the_headers(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(3)]
    Image.new("RGB", (8, 6)).save(files[0])
    files[1].write_bytes(b"text")
    files[2].write_bytes(png_bytes(tmp_path)[:200])
    assert picture_sizes(files) == [(8, 6), None, (W, H)]


def test_canvas_is_the_commonest_size_and_at_most_twice_the_input() -> None:
    assert canvas_for([(32, 24), (32, 24), (10, 10)], 100, 100) == (32, 24)
    assert canvas_for([(1984, 1478)], 224, 200) == (448, 400)
    assert canvas_for([(1984, 128)], 224, 200) == (448, 128)


def test_list_pictures_is_sorted_and_passes_over_hidden_files(image_folder: Path) -> None:
    (image_folder / ".hidden").mkdir()
    for name in (".hidden/a.png", "jazz/._b.png", "jazz/c.txt"):
        (image_folder / name).write_bytes(b"")
    pictures = list_pictures(image_folder)
    assert pictures == sorted(image_folder.glob("*/*__*.png"))
    assert len(pictures) == 18


@pytest.mark.parametrize("size", [(16, 12), (64, 48), (224, 224)])
def test_whole_picture_without_torch_equals_the_one_with_torch(size: tuple[int, int]) -> None:
    """predict.py on model.onnx must see what training saw: one step of 255 apart at most."""
    import torch

    from data.images.transforms import whole

    spec = ImageSpec(width=size[0], height=size[1], canvas=(W, H), mean=(0, 0, 0), std=(1, 1, 1))
    ours = whole_picture(COLOUR, spec).astype(int)
    theirs = whole(torch.tensor(COLOUR).permute(2, 0, 1), spec).permute(1, 2, 0).numpy()
    assert ours.shape == theirs.shape == (size[1], size[0], 3)
    assert np.abs(ours - theirs).max() <= 1


def gif(comments: int) -> bytes:
    """A GIF of one pixel after so many comments of 255 bytes."""
    head = b"GIF89a" + bytes([1, 0, 1, 0, 0x80, 0, 0]) + bytes([0, 0, 0, 255, 255, 255])
    comment = b"!\xfe" + b"\xff" + b"x" * 255 + b"\0"
    picture = b"," + bytes([0, 0, 0, 0, 1, 0, 1, 0, 0]) + bytes([2, 2, 0x4C, 0x01, 0])
    return head + comment * comments + picture + b";"


def test_a_gif_of_comments_is_refused_at_once(tmp_path: Path) -> None:
    """Pillow joins them one by one: 40,000 took two minutes."""
    file = tmp_path / "x.gif"
    file.write_bytes(gif(2))
    assert read_picture(file).tolist() == [[[255, 255, 255]]]
    file.write_bytes(gif(40_000))
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"x\.gif: .*no picture in its first MiB"):
        read_picture(file)
    assert time.monotonic() - started < 2


def test_a_large_bmp_in_runs_is_refused(tmp_path: Path) -> None:
    """50 million runs of one pixel each took Pillow a minute."""
    file = tmp_path / "x.bmp"
    file.write_bytes(bmp_of_single_runs(30, 20))
    assert read_picture(file).shape == (20, 30, 3)
    file.write_bytes(bmp_of_single_runs(3000, 1500))
    with pytest.raises(ValueError, match="a large BMP in runs"):
        read_picture(file)


def test_pixels_as_text_are_refused(tmp_path: Path) -> None:
    """Pillow reads them number by number in Python."""
    file = tmp_path / "x.ppm"
    file.write_bytes(b"P3\n1 1\n255\n1 2 3\n")
    with pytest.raises(ValueError, match="its pixels are text"):
        read_picture(file)
    file.write_bytes(b"P6\n1 1\n255\n\x01\x02\x03")
    assert read_picture(file).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("kind", ["pipe", "device", "link to itself", "socket"])
def test_what_is_no_file_is_named_at_once(tmp_path: Path, kind: str) -> None:
    """Opening a pipe that nobody writes to would wait for ever, /dev/zero never ends."""
    file = tmp_path / "x.png"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "link to itself":
        file.symlink_to("x.png")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(file))
    with pytest.raises(ValueError, match=r"x\.png: ") as caught:
        read_picture(file)
    assert "\n" not in str(caught.value)
    assert picture_sizes([file]) == [None]


def test_values_that_are_no_numbers_are_black(tmp_path: Path) -> None:
    values = np.array([[0.5, np.nan], [np.inf, -np.inf]], np.float32)
    Image.fromarray(values).save(tmp_path / "x.tiff")
    assert read_picture(tmp_path / "x.tiff")[0, 1].tolist() == [0, 0, 0]


def test_a_picture_counts_as_decoded_until_it_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else many large ones would be whole in memory at once, on their way to the network's size."""
    Image.new("RGB", (90, 70)).save(tmp_path / "x.png")
    left = []

    def resized(*arguments: Any) -> np.ndarray:
        left.append(pictures._budget._left)
        return at_canvas(*arguments)

    monkeypatch.setattr(read, "at_canvas", resized)
    assert read_picture(tmp_path / "x.png", (8, 8)).shape == (8, 8, 3)
    assert left == [MAX_PIXELS - 90 * 70] and pictures._budget._left == MAX_PIXELS


def test_a_very_large_picture_is_halved_on_its_way_to_a_canvas(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (40, 80, 3), dtype=np.uint8))
    small.resize((8000, 4000), Image.Resampling.BICUBIC).save(tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as image:
        direct = np.asarray(image.convert("RGB").resize((200, 100), Image.Resampling.BILINEAR))
    found = read_picture(tmp_path / "x.png", (200, 100))
    assert np.abs(found.astype(int) - direct).max() <= 2


def test_a_picture_decoded_smaller_keeps_its_whole_width_where_no_frame_is_known() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    drawing = Drawing(crop=True, flip=True)
    assert (drawing.undone(pixels, (160, 100)) == pixels[::-1]).all()


def test_a_very_large_picture_is_looked_at_smaller(tmp_path: Path) -> None:
    for (width, height), shape in {(8000, 4001): (2001, 4000, 3), (90, 70): (70, 90, 3)}.items():
        Image.new("L", (width, height)).save(tmp_path / "x.png")
        with looked_at(tmp_path / "x.png") as pixels:
            assert pixels.shape == shape
            assert pictures._budget._left == MAX_PIXELS - width * height
    with pytest.raises(ValueError, match="no such file"), looked_at(tmp_path / "y.png"):
        pass
