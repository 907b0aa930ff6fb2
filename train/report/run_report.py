"""What a report says: built once from a finished run or an evaluation, then handed on whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from data.audit.report import AuditReport
from data.summary import ClassCount
from train.evaluate.frozen_features import FrozenFeatures
from train.evaluate.precision_recall import ClassCurve
from train.evaluate.results import Results

Trained = Literal["on other groups", "on these pictures", "unknown"]


@dataclass(frozen=True)
class EvaluationProtocol:
    """How the tested examples were kept from training.

    trained: what the model was trained on, as far as it is known; group, duplicates and split: the
    options of the data stage.
    """

    trained: Trained = "on other groups"
    group: str = "group"
    duplicates: str = "near"
    split: str | None = None

    @classmethod
    def of_run(cls, options: dict[str, Any]) -> "EvaluationProtocol":
        """The protocol of a run with such options; those that are missing have their defaults."""
        return cls(
            group=options.get("group") or "group",
            duplicates=options.get("duplicates") or "near",
            split=options.get("split"),
        )


@dataclass(frozen=True)
class RunReport:
    """Everything that report.html and model_card.md say in words and figures.

    setting: the network, its weights and the device, in one line; counts: (class, examples, groups,
    tested examples) of each class and of all; audit: what the audit of the folder found, None for
    a table; data: the folder or table; command: what repeats the run; options: its config.yaml;
    curves: precision and recall of what was held out; frozen: of the training part, None where
    there are none.
    """

    title: str
    setting: str
    results: Results
    protocol: EvaluationProtocol
    counts: Sequence[ClassCount]
    notes: list[str]
    audit: AuditReport | None
    data: str
    command: str
    options: str = ""
    curves: list[ClassCurve] = field(default_factory=list)
    frozen: FrozenFeatures | None = None

    @property
    def n_duplicates(self) -> int:
        """Pairs of equal or nearly equal pictures in the folder."""
        return self.audit.n_pairs if self.audit else 0
