"""Files as they arrive when something went wrong: cut, flipped, renamed, empty, lying, bombs."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


def damaged(sources: list[Path], folder: Path, n: int, seed: int = 0) -> list[Path]:
    """Write n damaged files into the folder; each a known kind of damage to one of the sources."""
    rng = np.random.default_rng(seed)
    written = list(_special(folder))
    while len(written) < n:
        source = sources[len(written) % len(sources)]
        content = source.read_bytes()
        kind = ("cut", "flipped", "renamed", "header", "middle")[len(written) // len(sources) % 5]
        suffix = source.suffix
        data = bytearray(content)
        if kind == "cut":
            data = data[: int(rng.integers(1, len(data)))]
        elif kind == "flipped":
            for place in rng.integers(0, len(data), 20):
                data[place] ^= 1 << int(rng.integers(8))
        elif kind == "renamed":
            suffix = str(rng.choice([".png", ".mp3", ".wav", ".flac", ".jpg", ".xyz"]))
        elif kind == "header":
            data[:64] = rng.bytes(64)
        else:
            middle = len(data) // 2
            data[middle : middle + 500] = rng.bytes(500)
        file = folder / f"{len(written):03d} {kind}{suffix}"
        file.write_bytes(bytes(data))
        written.append(file)
    return written


def _special(folder: Path) -> Iterator[Path]:
    """Empty files, text, and headers that promise gigabytes."""
    contents = {f"empty{suffix}": b"" for suffix in (".png", ".mp3", ".wav", ".ogg", ".m4a")}
    contents |= {f"text{suffix}": b"not music\n" for suffix in (".png", ".mp3", ".jpg", ".wav")}
    contents["bomb.png"] = png_header(60_000, 60_000)
    contents["bomb2.png"] = png_header(16_000, 12_000, rows=12_000)
    contents["huge.wav"] = wav_header(data_size=0xFFFFFFF0) + bytes(1000)
    contents["rate.wav"] = wav_header(data_size=1000, sr=4_000_000_000) + bytes(1000)
    contents["channels.wav"] = wav_header(data_size=1000, channels=60_000) + bytes(1000)
    contents["nan.wav"] = wav_header(data_size=4000, kind=3) + b"\xff" * 4000
    contents["list.m3u8"] = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        yield folder / name


def png_header(width: int, height: int, rows: int = 1) -> bytes:
    """A grey PNG of so many pixels; its rows are zeros, which compress a thousandfold."""

    def chunk(name: bytes, data: bytes) -> bytes:
        code = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + code

    pixels = zlib.compress(bytes((width + 1) * rows), 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def wav_header(*, data_size: int, sr: int = 8000, channels: int = 1, kind: int = 1) -> bytes:
    """The 44 bytes before a WAV's samples; kind 1 is 16-bit integers, 3 is 32-bit floats."""
    width = 4 if kind == 3 else 2
    frame = (width * channels) & 0xFFFF
    rate = (sr * frame) & 0xFFFFFFFF
    form = struct.pack("<HHIIHH", kind, channels, sr, rate, frame, 8 * width)
    size = (36 + data_size) & 0xFFFFFFFF
    head = b"RIFF" + struct.pack("<I", size) + b"WAVEfmt " + struct.pack("<I", 16)
    return head + form + b"data" + struct.pack("<I", data_size)


@contextmanager
def at_most(megabytes: float, seconds: float) -> Iterator[None]:
    """Fail when what is done within takes more memory than before, or more time, than that."""
    import gc
    import re
    import time

    def memory(name: str) -> float:
        found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found
        return int(found[1]) / 1000

    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before, started = memory("VmRSS"), time.monotonic()
    yield
    took, peak = time.monotonic() - started, memory("VmHWM") - before
    assert peak < megabytes, f"{peak:.0f} MB"
    assert took < seconds, f"{took:.1f} s"
