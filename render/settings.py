"""All that turns samples into pixels: saved as render.json, carried inside the model file."""

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from typing import Any

from common.cli import option

VERSION = 1  # of the pixels: raised when the same settings give other pixels than before
REPRESENTATIONS = ("mel", "log", "stft", "cqt", "mfcc", "chroma", "tempogram")
COLORMAPS = ("magma", "inferno", "plasma", "viridis", "cividis", "turbo", "gray")
CQT_BINS = 84  # seven octaves of semitones


@dataclass(frozen=True)
class RenderSettings:
    """Samples to pixels"""

    sr: int = option(22_050, "sampling rate in Hz that every recording is brought to")
    n_fft: int = option(2048, "window length of a frame, in samples at sr")
    hop_length: int = option(512, "distance of two frames, in samples at sr")
    clip_seconds: float = option(10.0, "length of a clip, that is of one picture, in seconds")
    channels: str = option(
        "mel",
        "one representation, or three as red, green and blue; each one of "
        f"{', '.join(REPRESENTATIONS)}, with a window length of its own after a colon: "
        "mel,cqt,chroma or mel:512,mel:2048,mel:8192",
    )
    scale: str = option("db", "db, or pcen (per-channel energy normalisation)")
    n_mels: int = option(128, "bands of mel and of log")
    n_mfcc: int = option(20, "coefficients of mfcc")
    fmin: float = option(0.0, "lowest frequency in Hz of mel, log and stft")
    fmax: float | None = option(None, "highest frequency in Hz; nothing means sr / 2")
    top_db: float = option(80.0, "range of the picture in dB: what is further below ref is black")
    ref: str = option("max", "what is brightest: max (the clip's loudest point) or a power, as 1.0")
    win_length: int | None = option(
        None, "length of the window in samples at sr, at most n_fft; nothing means n_fft"
    )
    window: str = option("hann", "hann (periodic, librosa's) or hann-symmetric (Kaldi's)")
    edges: str = option("silence", "what lies beyond the ends of a clip: silence or mirror")
    preemphasis: float = option(0.0, "part of the sample before that each sample loses, as 0.97")
    mel_scale: str = option("slaney", "of mel: slaney (equal area, librosa's) or kaldi (peak 1)")
    log_offset: float = option(
        0.0, "power added before decibels are taken, as 1e-5; 0 adds none and stops at 1e-10"
    )
    short: str = option("repeat", "recordings shorter than a clip: repeat, pad (silence) or skip")
    size: str = option("", "WxH of the pictures; nothing means one pixel per frame and band")
    colormap: str = option("magma", f"colours of a picture of one channel: {', '.join(COLORMAPS)}")

    def __post_init__(self) -> None:
        for name in ("sr", "n_fft", "hop_length", "clip_seconds", "n_mels", "n_mfcc", "top_db"):
            _require(getattr(self, name) > 0, f"{name}={getattr(self, name)} must be positive")
        for name, allowed in (
            ("scale", ("db", "pcen")),
            ("window", ("hann", "hann-symmetric")),
            ("edges", ("silence", "mirror")),
            ("mel_scale", ("slaney", "kaldi")),
            ("short", ("repeat", "pad", "skip")),
            ("colormap", COLORMAPS),
        ):
            value = getattr(self, name)
            _require(value in allowed, f"{name}={value} must be one of {', '.join(allowed)}")
        top = self.sr / 2 if self.fmax is None else self.fmax
        _require(
            0 <= self.fmin < top <= self.sr / 2,
            f"fmin={self.fmin} and fmax={top} must lie in 0 <= fmin < fmax <= sr/2={self.sr / 2}",
        )
        _require(
            not self.size or re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", self.size) is not None,
            f"size={self.size} must be WIDTHxHEIGHT in pixels, as 224x224",
        )
        _require(self.ref == "max" or _is_power(self.ref), f"ref={self.ref}: max or a power > 0")
        for _, n_fft in self.layers:
            _require(
                self.win_length is None or 2 <= self.win_length <= n_fft,
                f"win_length={self.win_length} must lie in 2 to n_fft={n_fft}",
            )
        _require(0 <= self.preemphasis < 1, f"preemphasis={self.preemphasis} must lie in 0 to 1")
        _require(
            math.isfinite(self.log_offset) and self.log_offset >= 0,
            f"log_offset={self.log_offset} must be a power of 0 or more",
        )
        _require(
            len(self.layers) in (1, 3), f"channels={self.channels} must name one or three of them"
        )
        _require(
            self.clip_samples >= self.n_fft,
            f"clip_seconds={self.clip_seconds} is shorter than one window (n_fft={self.n_fft})",
        )

    @property
    def layers(self) -> list[tuple[str, int]]:
        """(representation, n_fft) of each channel of the picture."""
        layers = []
        for channel in self.channels.split(","):
            name, _, n_fft = channel.strip().partition(":")
            _require(
                name in REPRESENTATIONS and (not n_fft or (n_fft.isdigit() and int(n_fft) >= 32)),
                f"channels: {channel} must be NAME or NAME:N_FFT, NAME one of "
                f"{', '.join(REPRESENTATIONS)}, N_FFT 32 or more",
            )
            layers.append((name, int(n_fft) if n_fft else self.n_fft))
        return layers

    @property
    def clip_samples(self) -> int:
        """Samples of a clip at sr."""
        return round(self.clip_seconds * self.sr)

    @property
    def frames(self) -> int:
        """Frames of a clip: frame t is centred at sample t * hop_length, up to and past the end.

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
        bands = {"stft": n_fft // 2 + 1, "cqt": CQT_BINS, "mfcc": self.n_mfcc, "chroma": 12}
        return bands.get(name, 128 if name == "tempogram" else self.n_mels)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; width, height and version are told with them."""
        derived = {"width": self.width, "height": self.height, "version": VERSION}
        return dataclasses.asdict(self) | derived

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RenderSettings":
        """The settings that to_dict wrote. Raises ValueError when another version wrote them."""
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
        return cls.from_dict(json.loads(text))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _is_power(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and float(text) > 0
    except ValueError:
        return False
