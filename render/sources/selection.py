"""Which recordings take part: classes chosen, rare ones dropped, classes balanced."""

from collections import Counter
from dataclasses import dataclass, replace

from common.cli import NonNegativeInt, option
from render.sources.balance import draw_equally
from render.sources.folders import Recording


@dataclass(frozen=True)
class ChoiceSettings:
    """Choice of recordings"""

    classes: str = option("", "classes to render, as A,B,C; the default is all")
    min_recordings: NonNegativeInt = option(1, "leave out classes with fewer recordings than this")
    max_classes: NonNegativeInt = option(
        0, "largest number of classes, those with most recordings first; 0 means all"
    )


def choose(
    recordings: list[Recording], choice: ChoiceSettings, balance: str, seed: int
) -> list[Recording]:
    """The recordings that take part. Raises ValueError when none are left or a class is unknown.

    Of a recording with several labels, those of classes that are left out are left out.
    """
    if balance != "none" and any(r.labels for r in recordings):
        raise ValueError(
            f"--balance {balance}: songs with several labels cannot be drawn in equal numbers of "
            "each; leave it out, and train with --balance loss"
        )
    counts = Counter(label for r in recordings for label in r.classes)
    wanted = {name.strip() for name in choice.classes.split(",") if name.strip()}
    unknown = sorted(wanted - set(counts))
    if unknown:
        raise ValueError(
            f"no recordings of class {', '.join(unknown)}; there are {', '.join(sorted(counts))}"
        )
    labels = [label for label in sorted(counts) if not wanted or label in wanted]
    labels = [label for label in labels if counts[label] >= choice.min_recordings]
    if choice.max_classes:
        labels = sorted(labels, key=lambda label: (-counts[label], label))[: choice.max_classes]
    if not labels:
        raise ValueError(
            f"no class has min_recordings={choice.min_recordings}; the largest has "
            f"{max(counts.values(), default=0)}"
        )
    kept = [r for recording in recordings if (r := _with_labels(recording, set(labels)))]
    return draw_equally(kept, seed) if balance == "down" else kept


def _with_labels(recording: Recording, kept: set[str]) -> Recording | None:
    """The recording with those of its labels that are kept; None if there are none."""
    labels = tuple(label for label in recording.classes if label in kept)
    if not labels or labels == recording.classes:
        return recording if labels else None
    return replace(recording, label=labels[0], labels=labels)
