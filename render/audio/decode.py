"""Recordings to samples: what libsndfile reads directly, all else through ffmpeg if it is there.

A stream is an iterator of float32 arrays, mono, at the rate asked for. Nothing here holds more
than a few seconds of a recording.
"""

import json
import mmap
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr

from common.recordings import SOUNDS_THROUGH_FFMPEG
from common.streams import c_stderr_silenced

# ffmpeg's names of formats that hold their own sound. Playlists of others (hls, dash, concat) would
# let whoever sends a file have any other of this computer read.
FFMPEG_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,libmodplug,libopenmpt,matroska,mlp,mov,"
    "mp3,mpc,mpc8,mpeg,mpegts,nut,ogg,oma,rm,tak,truehd,tta,voc,w64,wav,wv"
)
RATES = (1000, 768_000)  # in Hz; what lies outside is a broken header, not a recording
MOST_FRAMES = 1 << 40  # more is libsndfile's way to say that the length is not known
LOUDEST = 1e10  # whole numbers of 32 bits as floats are let through; beyond, powers overflow
NO_SOUND = 7  # libsndfile's error of an mp3 without one frame; it says that there is no such file
CHUNK = 1 << 16  # frames read at once; so much before a damaged place is lost with it


class DecodeError(ValueError):
    """A recording that cannot be decoded; the message is the reason."""


@dataclass(frozen=True)
class Header:
    """What a recording's header says. frames: at the recording's own rate `sr`; may be wrong."""

    sr: int
    frames: int
    channels: int
    decoder: str

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sr


def probe(path: Path) -> Header:
    """The recording's header; where that has no length, it is counted by decoding.

    Raises DecodeError with the reason when there is nothing to decode.
    """
    if not path.is_file():
        raise DecodeError("not a regular file")
    if path.stat().st_size == 0:
        raise DecodeError("the file is empty")
    try:
        with c_stderr_silenced():
            info = soundfile.info(_name(path))
        header = Header(info.samplerate, info.frames, info.channels, "soundfile")
        if info.frames > MOST_FRAMES:
            header = _probe_with_ffmpeg(path, "its header has no length")
        elif _is_chained_ogg(path):
            header = _probe_with_ffmpeg(path, "it is several Ogg streams in one file", chained=True)
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        if getattr(error, "code", 0) == NO_SOUND:
            reason = "it holds no sound of its format"
        header = _probe_with_ffmpeg(path, reason)
    if not RATES[0] <= header.sr <= RATES[1]:
        raise DecodeError(f"its rate of {header.sr} Hz is outside {RATES[0]} to {RATES[1]} Hz")
    if header.channels < 1 or header.frames < 1:
        raise DecodeError("it has no samples")
    return header


def decode_stream(path: Path, sr: int, header: Header | None = None) -> Iterator[np.ndarray]:
    """Yield the recording as float32 arrays (n,), the mean of its channels, at `sr` Hz.

    Raises DecodeError when it cannot be decoded or holds values that are no numbers.
    """
    header = header or probe(path)
    blocks = _blocks(path, header)
    if header.sr == sr:
        yield from blocks
        return
    resampler = soxr.ResampleStream(header.sr, sr, 1, dtype="float32")
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _blocks(path: Path, header: Header) -> Iterator[np.ndarray]:
    """float32 arrays (n,), mono, at the recording's own rate."""
    read = _read_soundfile if header.decoder == "soundfile" else _read_ffmpeg
    for block in read(path, header):
        mono = np.ascontiguousarray(block[:, 0]) if block.shape[1] == 1 else _mean(block)
        if not np.isfinite(mono).all():
            raise DecodeError("it holds samples that are not numbers")
        if (most := np.abs(mono).max(initial=0)) > LOUDEST:
            raise DecodeError(f"it holds samples of {most:.0e}; expected -1 to 1")
        yield mono


def _mean(block: np.ndarray) -> np.ndarray:
    """The mean of the channels of `block` (n, channels): (n,). np.mean takes 40 times as long."""
    total = block[:, 0] + block[:, 1]
    for channel in range(2, block.shape[1]):
        total += block[:, channel]
    total /= np.float32(block.shape[1])
    return total


def _name(path: Path) -> str | bytes:
    """The path as soundfile takes it, in the file system's own bytes where it has such."""
    return str(path) if os.name == "nt" else os.fsencode(path)


class _Forward(soundfile.SoundFile):
    """A file that is read from its start to its end.

    soundfile seeks after each block to where it is already, for which libmpg123 decodes some frames
    of an mp3 again: a twentieth of the time, a fifth with blocks of 16,384.
    """

    def seekable(self) -> bool:
        """No: then soundfile does not seek."""
        return False


def _read_soundfile(path: Path, header: Header) -> Iterator[np.ndarray]:
    """float32 arrays (n, channels) as libsndfile decodes them."""
    try:
        with c_stderr_silenced():
            opened = _Forward(_name(path))
        with opened as file:
            while True:
                with c_stderr_silenced():
                    block = file.read(CHUNK, dtype="float32", always_2d=True)
                if len(block):
                    yield block
                if len(block) < CHUNK:
                    return
    except soundfile.SoundFileError as error:
        raise DecodeError(f"decoding failed: {str(error).strip().rstrip('.')}") from error


def _is_chained_ogg(path: Path) -> bool:
    """Does an Ogg stream begin behind the end of another? libsndfile reads the first alone."""
    first_page = b"OggS\0\2"  # of a stream: version 0, flag 2 (RFC 3533, section 6)
    with path.open("rb") as file:
        if file.read(len(first_page)) != first_page:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            place = 0
            while content[place : place + len(first_page)] == first_page:  # side by side
                n_segments = content[place + 26]
                place += 27 + n_segments + sum(content[place + 27 : place + 27 + n_segments])
            return content.find(first_page, place) >= 0


def _probe_with_ffmpeg(path: Path, why_not_direct: str, *, chained: bool = False) -> Header:
    """The header as ffprobe reads it; `why_not_direct` is what libsndfile said."""
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None or shutil.which("ffmpeg") is None:
        likely = _for_ffmpeg(path) or why_not_direct
        hint = "; ffmpeg might read it, but is not installed" if likely else ""
        raise DecodeError(f"cannot be decoded: {why_not_direct}{hint}")
    command = [ffprobe, "-v", "error", "-format_whitelist", FFMPEG_FORMATS]
    command += ["-select_streams", "a:0", "-show_entries"]
    command += ["stream=sample_rate,channels,duration:format=duration", "-of", "json"]
    answer = subprocess.run([*command, f"file:{path}"], capture_output=True, check=False)
    try:
        told = json.loads(answer.stdout)
        stream = told["streams"][0]
        sr, channels = int(stream["sample_rate"]), int(stream["channels"])
        seconds = float(stream.get("duration") or told["format"].get("duration") or 0)
    except (ValueError, LookupError):
        raise DecodeError(f"cannot be decoded: {why_not_direct}") from None
    header = Header(sr, int(seconds * sr), channels, "ffmpeg")
    if header.frames and not chained:  # of a chain, the length is that of its last stream
        return header
    return replace(header, frames=sum(len(block) for block in _read_ffmpeg(path, header)))


def _for_ffmpeg(path: Path) -> bool:
    return path.suffix.lower() in SOUNDS_THROUGH_FFMPEG


def _read_ffmpeg(path: Path, header: Header) -> Iterator[np.ndarray]:
    """float32 arrays (n, channels) as ffmpeg decodes the first audio stream."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-format_whitelist", FFMPEG_FORMATS]
    command += ["-i", f"file:{path}", "-map", "0:a:0"]
    command += ["-f", "f32le", "-ac", str(header.channels), "-ar", str(header.sr), "-"]
    size = 4 * header.channels
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        try:
            while data := process.stdout.read(CHUNK * size):
                whole = len(data) - len(data) % size
                yield np.frombuffer(data[:whole], dtype="<f4").reshape(-1, header.channels)
            if process.wait() != 0:
                errors.seek(0)
                lines = errors.read().decode(errors="replace").strip().splitlines()
                raise DecodeError(f"ffmpeg: {lines[-1] if lines else process.returncode}")
        finally:
            process.stdout.close()
            process.kill()
            process.wait()
