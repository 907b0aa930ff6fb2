"""Which clips a recording gives: where they lie in it, and how extra ones are changed."""

import dataclasses
import zlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from common.cli import NonNegativeInt, PositiveFloat, option
from common.validation import check_fields

MOST_SEMITONES = 48  # four octaves
# Of longer recordings, answers are asked for clips without overlap: the mean of so many is as right
# for half the time (bench/RESULTS.md).
LONG_SECONDS = 60.0


@dataclass(frozen=True)
class ClipSettings:
    """From recordings to clips"""

    hop_seconds: PositiveFloat | None = option(
        None, "seconds between the starts of two clips; the default is the length of a clip"
    )
    clips_per_recording: NonNegativeInt = option(
        0, "number of clips to take from each recording; 0 takes all"
    )
    at: Literal["spread", "start", "middle", "random"] = option(
        "spread", "where clips_per_recording clips lie; spread means evenly over the recording"
    )
    max_overlap: float = option(
        0.5, "largest fraction that two clips of a recording may share, from 0 to below 1"
    )
    balance: Literal["none", "clips", "down"] = option(
        "none",
        "how to balance the classes: clips takes more clips of each recording of the rarer "
        "classes, down takes as many recordings of each class as the rarest has",
    )
    pitch_shift: str = option(
        "", "extra clips, for training only, shifted by whole semitones: -2..2 or 1,3"
    )
    time_stretch: str = option(
        "", "extra clips, for training only, played faster or slower by these factors: 0.9,1.1"
    )
    seed: NonNegativeInt = option(123, "seed of everything random")

    def __post_init__(self) -> None:
        """Raise ValueError naming the first value that is wrong, and what it must be."""
        check_fields(self)
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

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ClipSettings":
        """The settings that to_dict wrote. Raises ValueError when a value is not allowed."""
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"unknown clip settings: {', '.join(unknown)}")
        return cls(**values)


@dataclass(frozen=True)
class Piece:
    """A part of a recording, in samples at the settings' sr, and the augmentation applied to it."""

    start: int
    length: int
    kind: str = ""
    amount: float = 0.0

    @property
    def augmentation(self) -> str:
        """Its name in clips.csv: empty, pitch+2 or stretch0.9."""
        sign = "+" if self.kind == "pitch" else ""
        return f"{self.kind}{self.amount:{sign}g}" if self.kind else ""


def most_clips(total: int, length: int, max_overlap: float) -> int:
    """How many clips of `length` fit into `total` samples that overlap by max_overlap at most."""
    if total <= length:
        return 1
    return 1 + int((total - length) / (length * (1 - max_overlap)) + 1e-9)


def starts(total: int, length: int, count: int, settings: ClipSettings, name: str) -> list[int]:
    """First samples of `count` clips of `length` in a recording of `total`, ascending.

    There are fewer when the recording is too short for `count`. "random" depends on the seed and
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


def with_augmentations(
    places: list[int], length: int, total: int, settings: ClipSettings
) -> list[Piece]:
    """Each clip as it is, then augmented; a stretched one needs `amount` times as many samples."""
    pieces = []
    for start in places:
        pieces.append(Piece(start, length))
        for kind, amount in settings.augmentations:
            need = round(length * amount) if kind == "stretch" else length
            pieces.append(Piece(max(0, min(start, total - need)), need, kind, amount))
    return pieces


def augmented(y: np.ndarray, sr: int, kind: str, amount: float) -> np.ndarray:
    """`y` float32 (n,) shifted by `amount` semitones ("pitch") or `amount` times as fast.

    A stretched clip has round(n / amount) samples.
    """
    import librosa

    if kind == "pitch":
        return librosa.effects.pitch_shift(y, sr=sr, n_steps=amount)
    return librosa.effects.time_stretch(y, rate=amount)


def _semitones(text: str) -> list[int]:
    try:
        if ".." in text:
            low, high = (int(n) for n in text.split(".."))
            shifts = list(range(max(low, -MOST_SEMITONES - 1), min(high, MOST_SEMITONES + 1) + 1))
        else:
            shifts = [int(n) for n in text.split(",") if n.strip()]
        if all(abs(n) <= MOST_SEMITONES for n in shifts):
            return shifts
    except ValueError:
        pass
    raise ValueError(
        f"pitch_shift={text} must be whole semitones from -{MOST_SEMITONES} to {MOST_SEMITONES}, "
        "as -2..2 or 1,3"
    )


def _rates(text: str) -> list[float]:
    try:
        rates = [float(rate) for rate in text.split(",") if rate.strip()]
    except ValueError:
        rates = [0.0]
    if not all(0.25 <= rate <= 4 for rate in rates):
        raise ValueError(f"time_stretch={text} must be factors from 0.25 to 4, as 0.9,1.1")
    return rates
