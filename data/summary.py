"""How many examples each class has, as a small table, and what is odd about the split."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from common.text import printable
from data.examples import Examples
from data.splits import LEAST_GROUPS, TEST, Split

MOST_NAMED = 4  # classes with sentences of their own


class ClassCount(NamedTuple):
    """Numbers of a class: its examples, the groups that they are in, and the tested ones."""

    name: str
    n_examples: int
    n_groups: int
    n_tested: int


def count_classes(examples: Examples, tested: np.ndarray) -> list[ClassCount]:
    """The numbers of each class, and last of all together; tested: bool (n,)."""
    masks = [(name, examples.of_class(label)) for label, name in enumerate(examples.classes)]
    masks.append(("all", np.ones(len(examples), dtype=bool)))
    return [
        ClassCount(
            name, int(mine.sum()), len(np.unique(examples.groups[mine])), int((mine & tested).sum())
        )
        for name, mine in masks
    ]


def class_table(counts: list[ClassCount], units: str = "pictures") -> str:
    """The numbers under their headings, aligned for a terminal; units: what an example is."""
    rows = [
        ("class", units, "groups", "test"),
        *(tuple(printable(str(cell)) for cell in count) for count in counts),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *numbers in rows:
        cells = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join(["", name.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def noted(notes: Iterable[str]) -> list[str]:
    """The notes as lines for a terminal, each one line whatever names are in it."""
    return [f"note: {printable(note)}" for note in notes]


def split_notes(examples: Examples, split: Split, *, n_folds: int) -> list[str]:
    """One sentence for each thing about the split that a careful person would want to know.

    n_folds: in how many each class should be held out.
    """
    counts = count_classes(examples, split.parts[0] == TEST)[:-1]
    alone = [count for count in counts if count.n_groups == 1]
    others = [count for count in counts if count.n_groups > 1]
    few = [count for count in others if count.n_groups < 2 * n_folds]
    untested = [count for count in others if not count.n_tested]
    notes = [
        *_of_classes(
            alone,
            "class {0.name} has 1 group: all of it is trained on, and no figure tells how well it "
            "is known; add recordings",
            "{n} classes have 1 group each ({names}): all of them is trained on, and no figure "
            "tells how well they are known; add recordings",
        ),
        *_of_classes(
            few,
            f"class {{0.name}} has {{0.n_groups}} groups, under 2 x {n_folds} folds: its figures "
            "are uncertain",
            f"{{n}} classes have fewer groups than 2 x {n_folds} folds ({{names}}): their figures "
            "are uncertain",
        ),
        *_of_classes(
            untested,
            "class {0.name} has no test pictures: nothing is known of its accuracy",
            "{n} classes have no test pictures ({names}): nothing is known of their accuracy",
        ),
    ]
    notes += _notes_on_large_groups(examples)
    if augmented := int((examples.augmented & ~examples.is_corrected).sum()):
        notes.append(f"{augmented} augmented clips are for training only")
    if examples.is_corrected.any():
        notes.append(_note_on_corrected(examples, split))
    return notes


def _notes_on_large_groups(examples: Examples) -> list[str]:
    """A sentence for the class whose largest group has most of its examples, one of several."""
    found = []
    for label, name in enumerate(examples.classes):
        own = examples.groups[examples.of_class(label) & ~examples.augmented]
        groups, counts = np.unique(own, return_counts=True)
        if len(groups) >= LEAST_GROUPS and 2 * counts.max() > len(own):
            largest = groups[counts.argmax()]
            found.append((counts.max() / len(own), name, largest, counts.max(), len(own)))
    if not found:
        return []
    _, name, group, n, n_all = max(found)
    more = f", and so in {len(found) - 1} more classes" if len(found) > 1 else ""
    return [
        f"{n} of the {n_all} examples of class {name} are of one group, {group}{more}: it decides "
        "what is learnt of the class; leave some out (of songs: python -m render MUSIC "
        "--clips-per-recording 10)"
    ]


def _of_classes(counts: list[ClassCount], each: str, together: str) -> list[str]:
    """A sentence for each class, or one for all where these are more than MOST_NAMED."""
    if len(counts) <= MOST_NAMED:
        return [each.format(count) for count in counts]
    names = ", ".join(count.name for count in counts[:MOST_NAMED])
    more = f"{names} and {len(counts) - MOST_NAMED} more"
    return [together.format(n=len(counts), names=more)]


def _note_on_corrected(examples: Examples, split: Split) -> str:
    """How many corrected recordings are learnt from, and how many are tested under another name."""
    of_corrected = examples.recordings[examples.is_corrected]
    tested = split.parts[0][examples.is_corrected] == TEST
    n_tested = len(np.unique(of_corrected[tested]))
    n_learnt = len(np.unique(of_corrected[~tested]))
    are = "recording is" if n_learnt == 1 else "recordings are"
    note = f"{n_learnt} corrected {are} trained on, and never tested"
    if n_tested:
        note += f"; {n_tested} more not even trained on, since the test part has the same music"
    return note
