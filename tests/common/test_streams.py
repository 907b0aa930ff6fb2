"""What is written to standard output and error, and what decoders in C do not write there."""

import ctypes
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from common.streams import PrintableStream, c_stderr_silenced
from render.audio.decode import decode_stream
from tests.fuzz.cases import mutated
from tests.sounds import write_sound

glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="the replaced pointer is glibc's",
)


def say(text: bytes) -> None:
    """Print by C's own stderr, as libmpg123 does."""
    libc = ctypes.CDLL(None)
    libc.fputs(text, ctypes.c_void_p.in_dll(libc, "stderr"))


@glibc
def test_only_what_c_prints_inside_is_lost(capfd: pytest.CaptureFixture[str]) -> None:
    say(b"before\n")
    with c_stderr_silenced(), c_stderr_silenced():
        say(b"inside\n")
        os.write(2, b"of Python or a child\n")
    say(b"after\n")
    assert capfd.readouterr().err == "before\nof Python or a child\nafter\n"


@glibc
def test_damaged_mp3s_are_decoded_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = write_sound(tmp_path / "x.mp3", "low", 4.0, 0)
    whole, n_refused = file.read_bytes(), 0
    for seed in range(20):
        file.write_bytes(mutated(whole, np.random.default_rng(seed)))
        try:
            sum(map(len, decode_stream(file, 22_050)))
        except ValueError:
            n_refused += 1
    assert n_refused < 20
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_the_letters_of_a_name_is_written_to_all_the_same(encoding: str) -> None:
    """LANG=C, or PYTHONIOENCODING: JSON stays JSON, and a rendering does not end at an umlaut."""
    written, name = io.BytesIO(), "Größe 🎺"
    stream = PrintableStream(io.TextIOWrapper(written, encoding))
    stream.write(json.dumps({"class": name}, ensure_ascii=False) + "\n")
    stream.flush()
    assert json.loads(written.getvalue().decode(encoding)) == {"class": name}
    assert (b"\\u" in written.getvalue()) is (encoding != "utf-8")
