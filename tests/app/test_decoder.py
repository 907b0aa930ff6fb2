"""Visitors' files that were made to harm: each is refused in words, and the next is answered."""

import contextlib
import os
import re
import signal
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.config import Limits
from app.decoder import CRASHED, Decoders
from app.service import Service
from inference.predictor import Predictor
from render import RenderSettings
from tests.app.test_limits import PICTURE, Undecided
from tests.helpers import ROOT, facts_of_pictures
from tests.sounds import write_sound

SECONDS = 3.0


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    render = RenderSettings.from_json((ROOT / "subsampled_data/render.json").read_text())
    model = Predictor(facts_of_pictures(64, 32, render=render), Undecided())
    made = Service(model, Limits(max_seconds=SECONDS))
    made.start()
    answered_as_before(made)
    yield made
    made.close()


def png(width: int, height: int, bits: int, colour: int) -> bytes:
    """A PNG whose pixels are zeros, which compress a thousandfold."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    channels = {0: 1, 2: 3, 6: 4}[colour]
    packer = zlib.compressobj(9)
    row = bytes(1 + width * channels * bits // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return head + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bmp_of_single_runs(width: int, height: int) -> bytes:
    """A BMP whose every pixel is a run of its own; Pillow decodes runs one by one in Python."""
    pixels = (b"\x01\x07" * width + b"\0\0") * height + b"\0\1"
    start = 14 + 40 + 4 * 256
    size = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    head = struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + size
    return head + bytes(4 * 256) + pixels


def peak_of_children() -> float:
    """The most memory in MB that any decoder of this process has had."""
    me, most = os.getpid(), 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if f"PPid:\t{me}\n" in text and (peak := re.search(r"VmHWM:\s+(\d+) kB", text)):
            most = max(most, int(peak[1]) / 1000)
    return most


def answered_as_before(service: Service) -> None:
    for _ in range(10):  # a machine that is busy takes seconds to start a decoder
        with contextlib.suppress(ValueError):
            assert service.answer(PICTURE).probability == 0.5
            return
    raise AssertionError("a good file is not answered any more")


def test_a_slow_file_is_given_up_and_its_decoder_killed(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "limits", replace(service.limits, max_seconds=0.5))
    file = tmp_path / "slow.png"
    file.write_bytes(bmp_of_single_runs(2300, 1700))  # some 3 s
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"slow\.png: it took longer than 0\.5 s"):
        service.answer(str(file))
    assert time.monotonic() - started < 2 * SECONDS
    monkeypatch.undo()
    answered_as_before(service)


@pytest.mark.parametrize(("bits", "colour"), [(16, 0), (8, 6)])
def test_a_bomb_stays_below_a_gigabyte(
    service: Service, tmp_path: Path, bits: int, colour: int
) -> None:
    """Just below the limit of 50 million pixels, and of some 100 kB."""
    file = tmp_path / "bomb.png"
    file.write_bytes(png(7000, 7100, bits, colour))
    assert file.stat().st_size < 1_000_000
    with contextlib.suppress(ValueError):
        service.answer(str(file))
    assert peak_of_children() < 1300
    answered_as_before(service)


def test_a_crashed_decoder_is_replaced(tmp_path: Path, service: Service) -> None:
    decoders = Decoders(service.model, Limits(), n=1)
    song = str(write_sound(tmp_path / "song.wav", "high", 120, seed=1))
    for killed in (True, False):
        try:
            with decoders.clips(song, time.monotonic() + 60) as clips:
                assert next(clips).span == (0.0, 10.0)
                if killed:
                    os.kill(decoders.pids()[0], signal.SIGKILL)
                assert len(list(clips)) == 11  # over a minute: side by side
        except ValueError as error:
            assert killed and str(error).endswith(CRASHED)
        else:
            assert not killed
    decoders.close()


def test_no_program_is_started_for_postscript(service: Service, tmp_path: Path) -> None:
    """Pillow would start Ghostscript for an EPS of any name."""
    file, loot = tmp_path / "x.png", tmp_path / "loot"
    file.write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"
        f"({loot}) (w) file dup (x) writestring closefile\nshowpage\n%%EOF\n"
    )
    with pytest.raises(ValueError, match=r"x\.png"):
        service.answer(str(file))
    assert not loot.exists()


def test_the_log_is_not_filled_by_a_decoders_complaints(
    service: Service, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    song = write_sound(tmp_path / "song.mp3", "low", 20, seed=1)
    data = bytearray(song.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(2000, len(data), 3000):
        data[place] ^= 0xFF
    song.write_bytes(bytes(data))
    try:
        service.answer(str(song))
    except ValueError as error:
        assert "song.mp3" in str(error)
    assert capfd.readouterr().err == ""
