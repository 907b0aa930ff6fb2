"""Everything that turns samples into pixels: saved as render.json, carried in the model file."""

import dataclasses
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from common.cli import NonNegativeFloat, PositiveFloat, PositiveInt, option
from common.validation import check_fields

VERSION = 1  # of the pixels: raised when the same settings give other pixels than before
Colormap = Literal["magma", "inferno", "plasma", "viridis", "cividis", "turbo", "gray"]
CQT_BINS = 84  # seven octaves of semitones
TEMPOGRAM_LAGS = 384  # librosa's default
# Every representation, with its rows before it is scaled to the picture's height, from the settings
# and the length of its window.
ROWS: dict[str, Callable[["RenderSettings", int], int]] = {
    "mel": lambda s, n_fft: s.n_mels,
    "log": lambda s, n_fft: s.n_mels,
    "stft": lambda s, n_fft: n_fft // 2 + 1,
    "cqt": lambda s, n_fft: CQT_BINS,
    "mfcc": lambda s, n_fft: s.n_mfcc,
    "chroma": lambda s, n_fft: 12,
    "tempogram": lambda s, n_fft: TEMPOGRAM_LAGS,
}
REPRESENTATIONS = tuple(ROWS)
# Settings also come inside the model files of strangers. What is larger than any of these would
# need gigabytes; pictures and clips that people make stay far below.
MOST_SR = 768_000
MOST_N_FFT = 1 << 14
MOST_BANDS = 1 << 11
MOST_CLIP_SAMPLES = 1 << 25
MOST_PIXELS = 1 << 24


@dataclass(frozen=True)
class RenderSettings:
    """From samples to pixels"""

    sr: PositiveInt = option(22_050, "sampling rate in Hz to which every recording is resampled")
    n_fft: PositiveInt = option(2048, "window length of a frame, in samples at sr")
    hop_length: PositiveInt = option(512, "distance between two frames, in samples at sr")
    clip_seconds: PositiveFloat = option(
        10.0, "length of a clip in seconds; each clip becomes one picture"
    )
    channels: str = option(
        "mel",
        "one representation, or three for red, green and blue; each is one of "
        f"{', '.join(REPRESENTATIONS)}, with a window length of its own after a colon if need be: "
        "mel,cqt,chroma or mel:512,mel:2048,mel:8192",
    )
    scale: Literal["db", "pcen"] = option(
        "db", "decibels, or per-channel energy normalisation (pcen)"
    )
    n_mels: PositiveInt = option(128, "number of bands of mel and of log")
    n_mfcc: PositiveInt = option(20, "number of coefficients of mfcc")
    fmin: NonNegativeFloat = option(0.0, "lowest frequency of mel, log and stft, in Hz")
    fmax: PositiveFloat | None = option(
        None, "highest frequency of mel, log and stft, in Hz; the default is sr / 2"
    )
    top_db: PositiveFloat = option(
        80.0, "dynamic range of the picture in dB: anything quieter than ref by more is black"
    )
    ref: str = option(
        "max", "the power shown brightest: max (the loudest point of the clip) or a number, as 1.0"
    )
    win_length: PositiveInt | None = option(
        None, "length of the window in samples at sr, at most n_fft; the default is n_fft"
    )
    window: Literal["hann", "hann-symmetric"] = option(
        "hann", "window function: hann (periodic, as librosa) or hann-symmetric (as Kaldi)"
    )
    edges: Literal["silence", "mirror"] = option(
        "silence", "what frames at the ends of a clip see beyond it: silence or its mirror image"
    )
    preemphasis: NonNegativeFloat = option(
        0.0, "factor of the previous sample that is subtracted from each, as 0.97; 0 is off"
    )
    mel_scale: Literal["slaney", "kaldi"] = option(
        "slaney", "mel filters: slaney (equal area, as librosa) or kaldi (peak 1)"
    )
    log_offset: NonNegativeFloat = option(
        0.0, "power added before decibels are taken, as 1e-5; 0 adds none and clips at 1e-10"
    )
    short: Literal["repeat", "pad", "skip"] = option(
        "repeat",
        "what to do with a recording shorter than a clip: repeat it, pad it with silence "
        "or skip it",
    )
    size: str = option(
        "", "WIDTHxHEIGHT of the pictures; the default is one pixel per frame and band"
    )
    colormap: Colormap = option("magma", "colour map of a picture of one channel")

    def __post_init__(self) -> None:
        """Raise ValueError naming the first value that is wrong, and what it must be."""
        check_fields(self)
        _require(self.sr <= MOST_SR, f"sr={self.sr!s:.20} must be {MOST_SR} at most")
        top = self.sr / 2 if self.fmax is None else self.fmax
        _require(
            self.fmin < top <= self.sr / 2,
            f"fmin={self.fmin} and fmax={top} must lie in 0 <= fmin < fmax <= sr/2={self.sr / 2}",
        )
        _require(
            not self.size
            or re.fullmatch(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", self.size) is not None,
            f"size={self.size} must be WIDTHxHEIGHT in pixels, as 224x224",
        )
        for _, n_fft in self.layers:
            _require(
                self.win_length is None or 2 <= self.win_length <= n_fft,
                f"win_length={self.win_length} must lie in 2 to n_fft={n_fft}",
            )
        _require(self.preemphasis < 1, f"preemphasis={self.preemphasis} must lie in 0 to 1")
        _require(
            self.ref == "max" or _is_power(self.ref), f"ref={self.ref} must be max or a power > 0"
        )
        _require(
            len(self.layers) in (1, 3), f"channels={self.channels} must name one or three of them"
        )
        self._check_bounds()

    def _check_bounds(self) -> None:
        _require(
            self.clip_seconds <= MOST_CLIP_SAMPLES / self.sr,
            f"clip_seconds={self.clip_seconds} must be {MOST_CLIP_SAMPLES / self.sr:.0f} at most "
            f"at sr={self.sr}",
        )
        _require(
            self.clip_samples >= self.n_fft,
            f"clip_seconds={self.clip_seconds} is shorter than one window (n_fft={self.n_fft})",
        )
        _require(
            self.hop_length <= self.clip_samples,
            f"hop_length={self.hop_length!s:.20} must be a clip's {self.clip_samples} samples at "
            "most",
        )
        for name in ("n_mels", "n_mfcc"):
            value = getattr(self, name)
            _require(value <= MOST_BANDS, f"{name}={value} must be {MOST_BANDS} at most")
        for representation, n_fft in self.layers:
            _require(n_fft <= MOST_N_FFT, f"n_fft={n_fft} must be {MOST_N_FFT} at most")
            n_values = self.frames * ROWS[representation](self, n_fft)
            _require(
                max(n_values, self.width * self.height) <= MOST_PIXELS,
                f"a picture of {self.width} x {self.height} pixels from {self.frames} frames of "
                f"{representation} is too large: the limit is {MOST_PIXELS} values. Choose shorter "
                "clips, a longer hop_length or a smaller size",
            )

    @property
    def layers(self) -> list[tuple[str, int]]:
        """(representation, n_fft) of each channel of the picture."""
        layers = []
        for channel in self.channels.split(","):
            name, _, n_fft = channel.strip().partition(":")
            right = not n_fft or (re.fullmatch("[0-9]{2,9}", n_fft) and int(n_fft) >= 32)
            _require(
                name in REPRESENTATIONS and bool(right),
                f"channels: {channel} must be NAME or NAME:N_FFT, NAME one of "
                f"{', '.join(REPRESENTATIONS)}, N_FFT 32 or more",
            )
            layers.append((name, int(n_fft) if n_fft else self.n_fft))
        return layers

    @property
    def clip_samples(self) -> int:
        """Number of samples of a clip at sr."""
        return round(self.clip_seconds * self.sr)

    @property
    def frames(self) -> int:
        """Number of frames: frame t is centred at sample t * hop_length, up to and past the end.

        A clip that is mirrored at its ends has no frame past the end, and with pre-emphasis, which
        needs the sample before, it is one sample shorter: as torch.stft counts.
        """
        if self.edges == "mirror":
            return 1 + (self.clip_samples - (self.preemphasis > 0)) // self.hop_length
        return math.ceil(self.clip_samples / self.hop_length) + 1

    @property
    def width(self) -> int:
        """Width of the picture in pixels."""
        return int(self.size.split("x")[0]) if self.size else self.frames

    @property
    def height(self) -> int:
        """Height of the picture in pixels: by default as many as the first channel has bands."""
        if self.size:
            return int(self.size.split("x")[1])
        name, n_fft = self.layers[0]
        return 128 if name == "tempogram" else ROWS[name](self, n_fft)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the width, the height and the version."""
        derived = {"width": self.width, "height": self.height, "version": VERSION}
        return dataclasses.asdict(self) | derived

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RenderSettings":
        """The settings that to_dict wrote.

        Raises ValueError when another version wrote them or a value is not allowed.
        """
        if not isinstance(values, dict):
            raise ValueError(f"render settings must be names with values, not {values!r:.40}")
        if values.get("version") != VERSION:
            raise ValueError(
                f"render settings of version {values.get('version')}; this program reads {VERSION}"
            )
        names = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - names - {"width", "height", "version", "clips"})
        if unknown:
            raise ValueError(f"unknown render settings: {', '.join(unknown)}")
        return cls(**{name: value for name, value in values.items() if name in names})

    def to_json(self) -> str:
        """The text of to_dict, one setting a line."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RenderSettings":
        """The settings in the text of a render.json."""
        try:
            values = json.loads(text)
        except RecursionError:
            raise ValueError("the JSON of the render settings is nested too deeply") from None
        return cls.from_dict(values)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _is_power(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and float(text) > 0
    except ValueError:
        return False
