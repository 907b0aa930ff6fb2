"""What a model says of a file: an answer, or why there is none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.recordings import SEPARATOR
from train.evaluate.calibration import LabelCalibration

NONE = "none"  # in place of the classes where none is named


@dataclass(frozen=True)
class ClipPrediction:
    """The answer for one clip of a recording.

    start_s, end_s: its place in seconds; unsure: why the clip is unlike the training pictures.
    """

    start_s: float
    end_s: float
    label: str
    probability: float
    probabilities: dict[str, float]
    unsure: str | None


@dataclass(frozen=True)
class Prediction:
    """The answer for one file: its likeliest class, and the probability of every class.

    timeline: the clips of a recording in order, empty for a picture; agreement: the part of them,
    in [0, 1], whose own likeliest class is the recording's. unsure: why the answer is not to be
    trusted, or None.

    several: of a model that gives several labels, all classes from their thresholds on are the
    answer: `label` is jazz;rock, or "" for none, `probability` that of the likeliest class, and
    `agreement` the part of the clips that share a label with the recording.
    """

    path: str
    label: str
    probability: float
    probabilities: dict[str, float]
    unsure: str | None = None
    agreement: float = 1.0
    timeline: tuple[ClipPrediction, ...] = ()
    several: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of the answer, the likeliest first: one, or of several labels any number."""
        if not self.several:
            return (self.label,)
        named = set(self.label.split(SEPARATOR))
        return tuple(name for name, _ in self.top(len(self.probabilities)) if name in named)

    @property
    def mixed(self) -> bool:
        """Whether no class prevails: at most half of a recording's clips agree with the answer."""
        return len(self.timeline) > 1 and self.agreement <= 0.5 and not self.several

    @property
    def verdict(self) -> str:
        """What a table says in place of the class: it, or "mixed", "unsure" or "none"."""
        return "unsure" if self.unsure else "mixed" if self.mixed else self.label or NONE

    def top(self, n: int) -> list[tuple[str, float]]:
        """The n likeliest (class, probability), the likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:n]


@dataclass(frozen=True)
class LeftOut:
    """A file without an answer. reason: a line that names the file and says what is wrong."""

    path: str
    reason: str


def of_picture(
    path: str,
    classes: Sequence[str],
    row: np.ndarray,
    unsure: str | None,
    several: LabelCalibration | None = None,
) -> Prediction:
    """The answer for a picture with probabilities float (C,)."""
    label, probability, named = _answer(classes, row, several)
    return Prediction(path, label, probability, named, unsure, several=several is not None)


def of_recording(
    path: str,
    classes: Sequence[str],
    spans: Sequence[tuple[float, float]],
    rows: np.ndarray,
    unsure: Sequence[str | None],
    several: LabelCalibration | None = None,
) -> Prediction:
    """The answer for a recording of n clips: the mean of their probabilities, float (n, C).

    So does the test of the training (common.recordings.by_recording). The answer is unsure
    when more than half of the clips are, for the commonest of their reasons.
    """
    timeline = tuple(
        ClipPrediction(start, end, *_answer(classes, row, several), why)
        for (start, end), row, why in zip(spans, rows, unsure, strict=True)
    )
    label, probability, named = _answer(classes, rows.mean(axis=0), several)
    agreement = sum(_agree(clip.label, label, several) for clip in timeline) / len(timeline)
    return Prediction(
        path,
        label,
        probability,
        named,
        _commonest_reason(unsure),
        agreement,
        timeline,
        several is not None,
    )


def _answer(
    classes: Sequence[str], row: np.ndarray, several: LabelCalibration | None
) -> tuple[str, float, dict[str, float]]:
    """(the class or classes, the highest probability, that of each) of probabilities (C,)."""
    best = int(np.argmax(row))
    label = classes[best]
    if several:
        named = several.named(row)
        label = SEPARATOR.join(c for c, is_named in zip(classes, named, strict=True) if is_named)
    return label, float(row[best]), dict(zip(classes, row.tolist(), strict=True))


def _agree(clip: str, whole: str, several: LabelCalibration | None) -> bool:
    if not several:
        return clip == whole
    return bool(set(clip.split(SEPARATOR)) & set(whole.split(SEPARATOR)))


def _commonest_reason(unsure: Sequence[str | None]) -> str | None:
    reasons = [reason for reason in unsure if reason]
    if 2 * len(reasons) <= len(unsure):
        return None
    return f"{len(reasons)} of {len(unsure)} clips: {Counter(reasons).most_common(1)[0][0]}"
