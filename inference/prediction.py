"""What a model says of a picture or a recording."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Moment:
    """The answer for one clip of a recording. unsure: why the clip is unlike the training's."""

    start_s: float
    end_s: float
    label: str
    probability: float
    probabilities: dict[str, float]
    unsure: str | None


@dataclass(frozen=True)
class Prediction:
    """The answer for one file: its likeliest class, and the probability of every class.

    timeline: the clips of a recording in order, empty for a picture; agreement: the part of them
    whose own likeliest class is the recording's. unsure: why the answer is not to be trusted.
    """

    path: str
    label: str
    probability: float
    probabilities: dict[str, float]
    unsure: str | None = None
    agreement: float = 1.0
    timeline: list[Moment] = field(default_factory=list)

    def top(self, n: int) -> list[tuple[str, float]]:
        """The n likeliest (class, probability), the likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:n]


def of_picture(path: str, classes: list[str], row: np.ndarray, unsure: str | None) -> Prediction:
    """The answer for a picture with probabilities float (C,)."""
    best = int(np.argmax(row))
    return Prediction(path, classes[best], float(row[best]), _named(classes, row), unsure)


def of_recording(
    path: str,
    classes: list[str],
    spans: list[tuple[float, float]],
    rows: np.ndarray,
    unsure: list[str | None],
) -> Prediction:
    """The answer for a recording: the mean of its clips' probabilities, float (n, C), as the test
    of the training computes it (train.evaluate.metrics.by_recording).

    It is unsure when more than half of the clips are, for the commonest of their reasons.
    """
    timeline = [
        Moment(start, end, classes[int(row.argmax())], float(row.max()), _named(classes, row), why)
        for (start, end), row, why in zip(spans, rows, unsure, strict=True)
    ]
    mean = rows.mean(axis=0)
    whole = of_picture(path, classes, mean, _why(unsure))
    agreeing = sum(moment.label == whole.label for moment in timeline)
    return Prediction(
        path, whole.label, whole.probability, whole.probabilities, whole.unsure,
        agreeing / len(timeline), timeline,
    )  # fmt: skip


def _why(unsure: list[str | None]) -> str | None:
    reasons = [reason for reason in unsure if reason]
    if 2 * len(reasons) <= len(unsure):
        return None
    return f"{len(reasons)} of {len(unsure)} clips: {Counter(reasons).most_common(1)[0][0]}"


def _named(classes: list[str], row: np.ndarray) -> dict[str, float]:
    return dict(zip(classes, row.tolist(), strict=True))
