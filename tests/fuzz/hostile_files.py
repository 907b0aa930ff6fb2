"""Files of strangers on disk: ten kinds, each by a seed; nothing hostile is kept in the project."""

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator
from PIL import Image

from tests.damage import png_header, wav_header
from tests.fuzz.cases import mutated
from tests.sounds import write_sound

Made = Callable[[Generator, Path, str], Path]
NAMES = (
    b"line\nbreak", b"\x1b[31mred", "\u202egpj".encode(), b"not-utf-8-\xff", b"-rf", b"--out",
    b"a" * 240, b"'\"`;|&", b"$(touch owned)", b"%s%n{0}", b" lead", b"tab\t.", "é\u0301".encode(),
    b"[a-z]*?", b"~root", b"CON", b"a__b__000", b"<img src=x onerror=alert(1)>", b"\xef\xbb\xbf",
)  # fmt: skip


def _pixels(rng: Generator, height: int = 40, width: int = 60) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def damaged_picture(rng: Generator, folder: Path, stem: str) -> Path:
    """A picture of any format whose bytes are changed."""
    suffix = str(rng.choice(["png", "jpg", "webp", "bmp", "gif", "tiff"]))
    file = folder / f"{stem}.{suffix if suffix not in ('gif', 'tiff') else 'png'}"
    content = io.BytesIO()
    Image.fromarray(_pixels(rng)).save(content, {"jpg": "jpeg"}.get(suffix, suffix))
    file.write_bytes(mutated(content.getvalue(), rng))
    return file


def lying_picture(rng: Generator, folder: Path, stem: str) -> Path:
    """A header of millions of pixels, or bytes that only keep a decoder busy."""
    side = int(rng.choice([0, 1, 7000, 7072, 20_000, 60_000, 2**31 - 1]))
    kinds = {
        "png": lambda: png_header(side, int(rng.choice([1, side])), rows=int(rng.choice([0, 1]))),
        "rows": lambda: png_header(9000, 5500, rows=5500),
        "gif": lambda: b"GIF89a\x08\0\x08\0\0\0\0" + b"!\xfe\x01x\0" * int(rng.integers(400_000)),
        "bmp": lambda: b"BM" + bytes(12) + (40).to_bytes(4, "little") + side.to_bytes(8, "little")
        + b"\1\0\x08\0\1\0\0\0" + bytes(20) + b"\1\0" * int(rng.integers(1, 10**6)),
        "tiff": lambda: b"II*\0\x08\0\0\0" + b"\xff\xff" + rng.bytes(1200),
    }  # fmt: skip
    file = folder / f"{stem}.png"
    file.write_bytes(kinds[str(rng.choice(list(kinds)))]())
    return file


def odd_picture(rng: Generator, folder: Path, stem: str) -> Path:
    """A whole picture as nobody draws it: 16 bits, one pixel, CMYK, all transparent, animated."""
    width, height = (int(side) for side in rng.choice([1, 2, 17, 300, 4000], 2))
    kind = str(rng.choice(["I;16", "F", "CMYK", "LA", "1", "RGBA", "P", "frames"]))
    pixels = _pixels(rng, height, width)
    file = folder / f"{stem}.png"
    if kind == "F":
        Image.fromarray((pixels[:, :, 0] * rng.choice([1e30, np.nan, -1])).astype(np.float32)).save(
            file, "tiff"
        )
    elif kind == "CMYK":
        Image.fromarray(pixels).convert("CMYK").save(file, "jpeg")
    elif kind == "frames":
        frames = [Image.fromarray(_pixels(rng)) for _ in range(20)]
        frames[0].save(file, "gif", save_all=True, append_images=frames[1:])
    elif kind == "I;16":
        Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(file, "png")
    else:
        Image.fromarray(pixels).convert(kind).save(file, "png")
    return file


def other_format(rng: Generator, folder: Path, stem: str) -> Path:
    """A format that is none of ours under the name of one: PostScript, PDF, SVG, text, HTML."""
    contents = (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(owned) (w) file showpage\n%%EOF\n",
        b"%PDF-1.4\n1 0 obj<</OpenAction<</S/Launch/F(/bin/sh)>>>>endobj\ntrailer<</Root 1 0 R>>\n",
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg/>',
        b"\0\0\1\0\1\0\0\0\0\0\1\0\x20\0" + rng.bytes(60), b"8BPS\0\1" + rng.bytes(200),
        b"<html><script>alert(1)</script></html>", b"#!/bin/sh\ntouch owned\n",
        b"\x7fELF" + bytes(99),
        b"\x80\x04cposix\nsystem\n(S'touch owned'\ntR.", b"SIMPLE  =     T" + bytes(80),
    )  # fmt: skip
    suffix = rng.choice(["png", "jpg", "bmp", "mp3", "wav", "ogg"])
    file = folder / f"{stem}.{suffix}"
    file.write_bytes(contents[int(rng.integers(len(contents)))])
    return file


def damaged_sound(rng: Generator, folder: Path, stem: str) -> Path:
    """A recording of any format whose bytes are changed."""
    suffix = str(rng.choice(["wav", "flac", "ogg", "mp3", "aiff"]))
    file = write_sound(folder / f"{stem}.{suffix}", "low", 1.5, int(rng.integers(1000)))
    file.write_bytes(mutated(file.read_bytes(), rng))
    return file


def lying_sound(rng: Generator, folder: Path, stem: str) -> Path:
    """A header that promises gigabytes, or a playlist of this computer's own files."""
    odd = (0, 1, 7, 999, 2**31, 0xFFFFFFF0)
    wav = wav_header(
        data_size=int(rng.choice(odd)),
        sr=int(rng.choice([0, 1, 8000, 4 * 10**9])),
        channels=int(rng.choice([0, 1, 60_000])),
        kind=int(rng.choice([1, 3])),
    )
    contents = (
        wav + rng.bytes(2000), wav + b"\xff" * 4000,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n", b"ID3\4\0\0\x7f\x7f\x7f\x7f" + rng.bytes(500),
        b"OggS\0\2" + b"\xff" * 300, b"fLaC\0\0\0\x22" + rng.bytes(34) + b"\xff" * 500,
    )  # fmt: skip
    file = folder / f"{stem}.{rng.choice(['wav', 'mp3', 'ogg', 'flac', 'm4a'])}"
    file.write_bytes(contents[int(rng.integers(len(contents)))])
    return file


def odd_sound(rng: Generator, folder: Path, stem: str) -> Path:
    """A whole recording as nobody makes it: one sample, eight channels, silence, 1e30."""
    n, channels = int(rng.choice([1, 2, 100, 8000, 90_000])), int(rng.choice([1, 2, 8]))
    y = rng.normal(0, 0.1, (n, channels)) * rng.choice([0, 1, 1e6, 1e30])
    sr = int(rng.choice([1000, 8000, 22_050, 192_000]))
    file = folder / f"{stem}.wav"
    soundfile.write(file, y.astype(np.float32), sr, subtype="FLOAT")
    return file


def hostile_name(rng: Generator, folder: Path, stem: str) -> Path:
    """A good picture or recording whose name is not."""
    name = os.fsdecode(NAMES[int(rng.integers(len(NAMES)))] + stem[:5].encode())
    if rng.random() < 0.5:
        return write_sound(folder / f"{stem}.wav", "low", 1.5, 0).rename(folder / f"{name}.wav")
    file = folder / f"{name}.png"
    Image.fromarray(_pixels(rng)).save(file)
    return file


def no_file(rng: Generator, folder: Path, stem: str) -> Path:
    """What has the name of a file and is a pipe, a folder, a device, or a link to itself."""
    file = folder / f"{stem}.{rng.choice(['png', 'wav', 'mp3'])}"
    kind = str(rng.choice(["pipe", "folder", "loop", "dangling", "zero", "passwd"]))
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        links = {"loop": file.name, "dangling": "nowhere", "zero": "/dev/zero"}
        file.symlink_to(links.get(kind, "/etc/passwd"))
    return file


def archive(rng: Generator, folder: Path, stem: str) -> Path:
    """Archives, files of two kinds at once, noise, and a terabyte that is not there."""
    file = folder / f"{stem}.{rng.choice(['png', 'jpg', 'wav', 'mp3', 'flac'])}"
    kind = str(rng.choice(["zip", "gzip", "two", "noise", "empty", "zeros", "sparse"]))
    if kind == "sparse":
        with file.open("wb") as out:
            out.write(rng.choice([b"RIFF", b"\x89PNG\r\n\x1a\n", b"ID3\4", b"\xff\xfb\x90\0"]))
            out.truncate(2**40)
        return file
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as entries:
        entries.writestr("../../owned", bytes(10**7))
    contents = {
        "zip": zipped.getvalue(), "gzip": gzip.compress(bytes(10**7)), "noise": rng.bytes(5000),
        "two": png_header(8, 8, rows=8) + b"ID3\4" + rng.bytes(2000), "zeros": bytes(10**5),
    }  # fmt: skip
    file.write_bytes(contents.get(kind, b""))
    return file


KINDS: tuple[Made, ...] = (
    damaged_picture, lying_picture, odd_picture, other_format, damaged_sound, lying_sound,
    odd_sound, hostile_name, no_file, archive,
)  # fmt: skip


def write_hostile(folder: Path, number: int) -> Path:
    """The file of this number: its kind is that modulo ten, its seed the rest."""
    kind = KINDS[number % len(KINDS)]
    return kind(np.random.default_rng([number]), folder, f"{number:05d}-{kind.__name__}")
