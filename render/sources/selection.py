"""Which recordings take part: classes chosen, rare ones dropped, balance by leaving out."""

import random
from collections import Counter
from dataclasses import dataclass

from common.cli import option
from render.sources.folders import Recording


@dataclass(frozen=True)
class ChoiceSettings:
    """Which recordings"""

    classes: str = option("", "only these classes: A,B,C")
    min_recordings: int = option(1, "leave out classes with fewer recordings")
    max_classes: int = option(0, "only so many classes, those with most recordings; 0 means all")


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
    return _down(kept, seed) if balance == "down" else kept


def _down(recordings: list[Recording], seed: int) -> list[Recording]:
    """As many recordings of each class as the rarest has, drawn by seed."""
    by_class: dict[str, list[Recording]] = {}
    for r in sorted(recordings, key=lambda r: r.source):
        by_class.setdefault(r.label, []).append(r)
    least = min(map(len, by_class.values()))
    kept: list[Recording] = []
    for label in sorted(by_class):
        kept += random.Random(f"{seed} {label}").sample(by_class[label], least)
    return sorted(kept, key=lambda r: r.source)
