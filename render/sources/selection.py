"""Which recordings take part: classes chosen, rare ones dropped, classes balanced."""

from collections import Counter
from dataclasses import dataclass

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
    """The recordings that take part. Raises ValueError when none are left or a class is unknown."""
    counts = Counter(r.label for r in recordings)
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
    kept = [r for r in recordings if r.label in set(labels)]
    return draw_equally(kept, seed) if balance == "down" else kept
