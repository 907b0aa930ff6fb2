"""What a report says: built once from a finished run or an evaluation, then handed on whole."""

from dataclasses import dataclass
from typing import Any, Literal

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
    a table; data: the folder or table; command: what repeats the run; options: its config.yaml.
    """

    title: str
    setting: str
    results: Results
    protocol: EvaluationProtocol
    counts: list[tuple[str, ...]]
    notes: list[str]
    audit: dict[str, Any] | None
    data: str
    command: str
    options: str = ""

    @property
    def n_duplicates(self) -> int:
        """Pairs of equal or nearly equal pictures in the folder."""
        audit = self.audit or {}
        return int(audit.get("n_exact", 0) + audit.get("n_near", 0))
