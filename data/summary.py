"""What is in an image folder, as a small table, with what is odd about it."""

import numpy as np

from data.examples import Examples


def class_rows(examples: Examples, part: np.ndarray) -> list[tuple[str, ...]]:
    """(class, pictures, groups, test pictures) of each class, then of all together."""
    masks = [(name, examples.labels == label) for label, name in enumerate(examples.classes)]
    masks.append(("all", np.ones(len(examples), dtype=bool)))
    return [
        (
            name,
            str(int(mine.sum())),
            str(len(np.unique(examples.groups[mine]))),
            str(int((mine & (part == "test")).sum())),
        )
        for name, mine in masks
    ]


def table(rows: list[tuple[str, ...]], units: str = "pictures") -> str:
    """The rows under their headings, aligned for a terminal; units: what an example is."""
    rows = [("class", units, "groups", "test"), *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *counts in rows:
        cells = [count.rjust(width) for count, width in zip(counts, widths[1:], strict=True)]
        lines.append("  ".join(["", name.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def oddities(examples: Examples, part: np.ndarray, *, n_folds: int) -> list[str]:
    """One sentence for each thing about the split that a careful person would want to know."""
    notes = []
    for label, name in enumerate(examples.classes):
        n_groups = len(np.unique(examples.groups[examples.labels == label]))
        if n_groups < 2 * n_folds:
            notes.append(
                f"class {name} has {n_groups} groups, under 2 x {n_folds} folds: its figures are "
                "uncertain"
            )
        if not (part[examples.labels == label] == "test").any():
            notes.append(f"class {name} has no test pictures: nothing is known of its accuracy")
    if examples.augmented.any():
        notes.append(f"{int(examples.augmented.sum())} augmented clips are for training only")
    return notes


def crossing_groups(examples: Examples) -> list[str]:
    """Names of the groups that are in several classes, sorted."""
    classes: dict[str, set[int]] = {}
    for group, label in zip(examples.groups, examples.labels, strict=True):
        classes.setdefault(group, set()).add(int(label))
    return sorted(group for group, labels in classes.items() if len(labels) > 1)
