"""Where in a recording its clips lie."""

import dataclasses
import zlib
from dataclasses import dataclass

import numpy as np

from common.cli import option


@dataclass(frozen=True)
class ClipSettings:
    """Recordings to clips"""

    hop_seconds: float | None = option(
        None, "distance of two clips' starts; nothing means one clip after the other"
    )
    clips_per_recording: int = option(0, "so many clips of each recording; 0 means all")
    at: str = option("spread", "where these lie: spread (evenly), start, middle or random")
    max_overlap: float = option(0.5, "largest part that two clips of a recording may share")
    balance: str = option(
        "none", "clips (rare classes get more of each recording), down (as many recordings of each "
        "class as the rarest has) or none"
    )  # fmt: skip
    pitch_shift: str = option(
        "", "extra clips for training only, shifted by whole semitones: -2..2 or 1,3"
    )
    time_stretch: str = option(
        "", "extra clips for training only, faster or slower by these factors: 0.9,1.1"
    )
    seed: int = option(123, "of everything random")

    def __post_init__(self) -> None:
        for name, allowed in (
            ("at", ("spread", "start", "middle", "random")),
            ("balance", ("none", "clips", "down")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name}={getattr(self, name)} must be one of {', '.join(allowed)}"
                )
        if self.hop_seconds is not None and self.hop_seconds <= 0:
            raise ValueError(f"hop_seconds={self.hop_seconds} must be positive")
        if self.clips_per_recording < 0:
            raise ValueError(f"clips_per_recording={self.clips_per_recording} must not be negative")
        if not 0 <= self.max_overlap < 1:
            raise ValueError(f"max_overlap={self.max_overlap} must lie in 0 <= max_overlap < 1")
        _ = self.augmentations

    @property
    def augmentations(self) -> list[tuple[str, float]]:
        """(kind, amount) of each extra clip: ("pitch", semitones) or ("stretch", factor)."""
        shifts = [("pitch", float(n)) for n in _semitones(self.pitch_shift) if n != 0]
        return shifts + [("stretch", rate) for rate in _rates(self.time_stretch) if rate != 1]

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Piece:
    """A stretch of a recording, in samples at the settings' sr, and what is done to it."""

    start: int
    length: int
    kind: str = ""
    amount: float = 0.0

    @property
    def augmentation(self) -> str:
        """How clips.csv names it: empty, pitch+2 or stretch0.9."""
        sign = "+" if self.kind == "pitch" else ""
        return f"{self.kind}{self.amount:{sign}g}" if self.kind else ""


def most_clips(total: int, length: int, max_overlap: float) -> int:
    """How many clips of `length` fit into `total` samples when neighbours overlap at most so."""
    if total <= length:
        return 1
    return 1 + int((total - length) / (length * (1 - max_overlap)) + 1e-9)


def starts(total: int, length: int, count: int, settings: ClipSettings, name: str) -> list[int]:
    """First samples of `count` clips of `length` in a recording of `total`, ascending.

    There are fewer when the recording is too short for so many. "random" depends on the seed and
    on `name` alone, not on the other recordings.
    """
    room = max(0, total - length)
    count = min(count, most_clips(total, length, settings.max_overlap))
    if settings.at == "spread":
        if count * length <= total:
            return [int(total * (i + 0.5) / count - length / 2) for i in range(count)]
        return [int(s) for s in np.linspace(0, room, count)]
    if settings.at == "random":
        step = length * (1 - settings.max_overlap)
        slack = room - (count - 1) * step
        rng = np.random.default_rng([settings.seed, zlib.crc32(name.encode())])
        return [int(x + i * step) for i, x in enumerate(np.sort(rng.uniform(0, slack, count)))]
    step = length if count * length <= total else room / max(1, count - 1)
    first = 0.0 if settings.at == "start" else (room - (count - 1) * step) / 2
    return [int(first + i * step) for i in range(count)]


def all_starts(total: int, length: int, hop: int) -> list[int]:
    """First samples of clips every `hop`, and of a last one that ends where the recording ends."""
    room = max(0, total - length)
    places = list(range(0, room + 1, hop))
    return places if places[-1] == room else [*places, room]


def with_augmentations(places: list[int], length: int, total: int, s: ClipSettings) -> list[Piece]:
    """Each clip, plain, then its augmented versions; a stretched one takes `rate` times as much."""
    pieces = []
    for start in places:
        pieces.append(Piece(start, length))
        for kind, amount in s.augmentations:
            need = round(length * amount) if kind == "stretch" else length
            pieces.append(Piece(max(0, min(start, total - need)), need, kind, amount))
    return pieces


def _semitones(text: str) -> list[int]:
    try:
        if ".." in text:
            low, high = (int(n) for n in text.split(".."))
            return list(range(low, high + 1))
        return [int(n) for n in text.split(",") if n.strip()]
    except ValueError:
        raise ValueError(f"pitch_shift={text} must be whole semitones, as -2..2 or 1,3") from None


def _rates(text: str) -> list[float]:
    try:
        rates = [float(rate) for rate in text.split(",") if rate.strip()]
    except ValueError:
        rates = [0.0]
    if not all(0.25 <= rate <= 4 for rate in rates):
        raise ValueError(f"time_stretch={text} must be factors from 0.25 to 4, as 0.9,1.1")
    return rates
