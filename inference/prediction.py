"""What a model says of a file: an answer, or why there is none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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
    """

    path: str
    label: str
    probability: float
    probabilities: dict[str, float]
    unsure: str | None = None
    agreement: float = 1.0
    timeline: tuple[ClipPrediction, ...] = ()

    @property
    def mixed(self) -> bool:
        """Whether no class prevails: at most half of a recording's clips agree with the answer."""
        return len(self.timeline) > 1 and self.agreement <= 0.5

    @property
    def verdict(self) -> str:
        """What a table says in place of the class: it, or "mixed" or "unsure"."""
        return "unsure" if self.unsure else "mixed" if self.mixed else self.label

    def top(self, n: int) -> list[tuple[str, float]]:
        """The n likeliest (class, probability), the likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:n]


@dataclass(frozen=True)
class LeftOut:
    """A file without an answer. reason: a line that names the file and says what is wrong."""

    path: str
    reason: str


def of_picture(
    path: str, classes: Sequence[str], row: np.ndarray, unsure: str | None
) -> Prediction:
    """The answer for a picture with probabilities float (C,)."""
    best = int(np.argmax(row))
    return Prediction(path, classes[best], float(row[best]), _named(classes, row), unsure)


def of_recording(
    path: str,
    classes: Sequence[str],
    spans: Sequence[tuple[float, float]],
    rows: np.ndarray,
    unsure: Sequence[str | None],
) -> Prediction:
    """The answer for a recording of n clips: the mean of their probabilities, float (n, C).

    So does the test of the training (common.recordings.by_recording). The answer is unsure
    when more than half of the clips are, for the commonest of their reasons.
    """
    timeline = tuple(
        ClipPrediction(
            start, end, classes[int(row.argmax())], float(row.max()), _named(classes, row), why
        )
        for (start, end), row, why in zip(spans, rows, unsure, strict=True)
    )
    mean = rows.mean(axis=0)
    best = int(mean.argmax())
    agreement = sum(clip.label == classes[best] for clip in timeline) / len(timeline)
    return Prediction(
        path,
        classes[best],
        float(mean[best]),
        _named(classes, mean),
        _commonest_reason(unsure),
        agreement,
        timeline,
    )


def _commonest_reason(unsure: Sequence[str | None]) -> str | None:
    reasons = [reason for reason in unsure if reason]
    if 2 * len(reasons) <= len(unsure):
        return None
    return f"{len(reasons)} of {len(unsure)} clips: {Counter(reasons).most_common(1)[0][0]}"


def _named(classes: Sequence[str], row: np.ndarray) -> dict[str, float]:
    return dict(zip(classes, row.tolist(), strict=True))
