"""All figures of a run: what metrics.json holds, and what the model file carries."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from common.intervals import Z_95
from common.text import printable
from train.evaluate.calibration import SPARED, LabelCalibration
from train.evaluate.metrics import Scores

MANY_CLASSES = 100
UNEVEN = 0.8  # of all, in one class: more than most models of some classes have right
FEW_GROUPS = 10  # of a class: with fewer, chance decides
OF_FOLDS = ("validation", "held_out", "held_out_recordings")


@dataclass(frozen=True)
class CrossValidation:
    """Validation accuracy and loss of every fold at its best epoch.

    Of several labels, all that have more than even odds count, before thresholds are chosen.
    Each best epoch was chosen on these same examples: expect the test to be a little lower.
    """

    accuracy: Sequence[float]
    loss: Sequence[float]

    @property
    def accuracy_mean(self) -> float:
        """Mean accuracy of the folds."""
        return float(np.mean(self.accuracy))

    @property
    def accuracy_std(self) -> float:
        """Standard deviation of the folds' accuracies; 0 for one fold."""
        return float(np.std(self.accuracy, ddof=1)) if len(self.accuracy) > 1 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain data for JSON."""
        return {
            "accuracy": list(self.accuracy),
            "accuracy_mean": self.accuracy_mean,
            "accuracy_std": self.accuracy_std,
            "loss": list(self.loss),
        }


@dataclass(frozen=True)
class Results:
    """The figures of a model on its test part, and of the folds before it.

    test: by picture, or by row of a table (unit); test_recordings: by recording, where some have
    several pictures; validation: of what the folds held out, by recording or example as `main`;
    held_out, held_out_recordings: of both together, every example by a model that was not trained
    on it; temperature: what logits are divided by; several: of a model that gives several labels,
    how it does; final: what the model is, in words;
    domain_shift: how far the pictures are from those of training; seconds: of the whole run.
    """

    test: Scores
    temperature: float
    test_recordings: Scores | None = None
    cross_validation: CrossValidation | None = None
    validation: Scores | None = None
    held_out: Scores | None = None
    held_out_recordings: Scores | None = None
    final: str = ""
    unit: str = "picture"
    domain_shift: Sequence[str] = ()
    seconds: float | None = None
    several: LabelCalibration | None = None

    @property
    def main(self) -> Scores:
        """The scores that count: those by recording where there are several pictures of one."""
        return self.test_recordings or self.test

    @property
    def estimate(self) -> Scores:
        """The scores to quote: of all that was held out, as there is more of it than of the test.

        Without folds, those of the test.
        """
        return self.held_out_recordings or self.held_out or self.main

    @property
    def parts_differ(self) -> bool:
        """Whether the accuracies of test and folds differ by more than chance, 98 of 100 times."""
        if not self.validation:
            return False
        main, validation = self.main.merit, self.validation.merit
        ends = [one.interval_95 for one in (main, validation)]
        deviations = math.hypot(*((high - low) / 2 for low, high in ends)) / Z_95
        reach = NormalDist().inv_cdf((1 + SPARED) / 2) * deviations
        return abs(main.value - validation.value) > reach

    @property
    def main_unit(self) -> str:
        """What `main` counts, in the plural."""
        return "recordings" if self.test_recordings else f"{self.unit}s"

    def after(self, seconds: float) -> "Results":
        """The same with the seconds that the run has taken."""
        return replace(self, seconds=round(seconds, 1))

    def to_dict(self, *, matrices: bool = True) -> dict[str, Any]:
        """The figures as plain data for JSON, without those that there are none of.

        matrices: with confusion matrices, which grow with the square of the number of classes;
        those of the folds are left out for more than 100 classes.
        """
        few = matrices and len(self.test.per_class) <= MANY_CLASSES
        plain: dict[str, Any] = {"test": self.test.to_dict(matrix=matrices)}
        if self.cross_validation:
            plain["cross_validation"] = self.cross_validation.to_dict()
        for name in OF_FOLDS:
            if (scores := getattr(self, name)) is not None:
                plain[name] = scores.to_dict(matrix=few)
        if self.final:
            plain["final"] = self.final
        plain["temperature"] = self.temperature
        if self.several:
            plain["several"] = asdict(self.several)
        if self.test_recordings:
            plain["test_recordings"] = self.test_recordings.to_dict(matrix=matrices)
        if self.unit != "picture":
            plain["unit"] = self.unit
        if self.domain_shift:
            plain["distance"] = list(self.domain_shift)
        if self.seconds is not None:
            plain["seconds"] = self.seconds
        return plain

    def to_json(self) -> str:
        """The text of metrics.json."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Results":
        """The results that `to_dict` made plain."""
        recordings, folds = plain.get("test_recordings"), plain.get("cross_validation")
        several = plain.get("several")
        return cls(
            test=Scores.from_dict(plain["test"]),
            temperature=plain["temperature"],
            several=LabelCalibration(**{name: tuple(row) for name, row in several.items()})
            if several
            else None,
            test_recordings=Scores.from_dict(recordings) if recordings else None,
            cross_validation=CrossValidation(folds["accuracy"], folds["loss"]) if folds else None,
            **{name: Scores.from_dict(plain[name]) for name in OF_FOLDS if name in plain},
            final=plain.get("final", ""),
            unit=plain.get("unit", "picture"),
            domain_shift=plain.get("distance", ()),
            seconds=plain.get("seconds"),
        )

    def doubts(self) -> list[str]:
        """What to look at when the answers are no better than chance; nothing when they are."""
        scores = self.estimate
        _, value, (low, _), baseline = scores.merit
        if low > baseline:
            return []
        verdict = "no better than chance" if value <= baseline else "not shown to beat chance"
        if value > baseline > UNEVEN:
            cause = (
                f"it is {baseline:.0%} of the {self.unit}s, so that macro F1 "
                f"({scores.macro_f1:.3f}) says more than accuracy: more recordings of the other "
                "classes help most"
            )
        elif scores.n_groups < FEW_GROUPS * len(scores.per_class):
            cause = (
                f"{scores.n_groups} groups in {len(scores.per_class)} classes are few to learn "
                "from: more recordings help most"
            )
        else:
            cause = (
                f"look whether the labels are right and whether {self.unit}s of one class have "
                "something in common that the others lack; python -m data.audit looks for errors"
            )
        return [f"{verdict}: {_guess(scores)} may do as well; {cause}"]

    def lines(self) -> list[str]:
        """The answer in up to three lines: the test, the figure to quote, the folds."""
        main, estimate = self.main, self.estimate
        name, value, (low, high), _ = main.merit
        beside = ""
        if main.several:
            beside = f"; macro F1 {main.macro_f1:.3f}, micro F1 {main.several.micro_f1:.3f}"
        lines = [
            f"test {name} {value:.3f} (95 % interval {low:.3f} to {high:.3f}) on "
            f"{main.n} {self.main_unit} of {main.n_groups} groups{beside}"
        ]
        _, value, (low, high), baseline = estimate.merit
        chance = f"{_guess(estimate)} would have {baseline:.3f}"
        if estimate is not main:
            chance = (
                f"to quote: {value:.3f} ({low:.3f} to {high:.3f}) of {estimate.n} "
                f"{self.main_unit}, each by a model that was not trained on it; {chance}"
            )
        lines.append(chance)
        if folds := self.cross_validation:
            spread = f"± {folds.accuracy_std:.3f} over {len(folds.accuracy)} folds"
            if len(folds.accuracy) == 1:  # a split with a validation part: nothing varies
                spread = "on one fold"
            lines.append(
                f"validation accuracy {folds.accuracy_mean:.3f} {spread}; the model is {self.final}"
            )
        return lines


def _guess(scores: Scores) -> str:
    """How answers are made that know nothing."""
    if scores.several:
        return "labels in any order"
    return f"always answering {printable(scores.majority_class)}"
