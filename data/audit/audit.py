"""The audit: what can be found in an image folder before anything is trained on it."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from data.audit.appearance import Appearance, measure_appearances
from data.audit.duplicates import Duplicate, duplicate_notes, find_duplicates
from data.audit.label_errors import LabelIssue
from data.audit.shortcuts import Shortcut, find_shortcuts, shortcut_notes
from data.examples import Examples
from data.images.fingerprints import fingerprints
from data.images.picture_array import PictureArray

N_LISTED = 20  # suspected labels in the terminal


@dataclass(frozen=True)
class Audit:
    """What was found: `examples` has the readable pictures only, blank and duplicates are of them.

    appearances: of all pictures, or of the random part of them that was looked at.
    """

    examples: Examples
    appearances: list[Appearance]
    failures: list[str]
    blank: np.ndarray
    duplicates: list[Duplicate]
    shortcuts: list[Shortcut]
    label_issues: list[LabelIssue]

    def findings(self) -> list[str]:
        """One sentence for each thing to think about before training, the gravest first."""
        notes = shortcut_notes(self.shortcuts) + duplicate_notes(self.duplicates, self.examples)
        if crossing := self.examples.groups_in_several_classes():
            notes.append(f"{len(crossing)} groups are in several classes ({_some(crossing)})")
        if self.blank.any():
            names = [str(path) for path in self.examples.paths[self.blank]]
            notes.append(f"{len(names)} pictures are blank ({_some(names)})")
        notes += appearance_notes(self.appearances)
        if self.label_issues:
            notes.append(f"{len(self.label_issues)} labels are worth a second look")
        return notes + [f"unreadable: {reason}" for reason in self.failures]

    def passed(self) -> list[str]:
        """The checks in which nothing was found."""
        checks = {
            "no cue but the music tells the classes apart": not shortcut_notes(self.shortcuts),
            "no duplicates under different names": not self.duplicates,
            "no group in several classes": not self.examples.groups_in_several_classes(),
            "no blank picture": not self.blank.any(),
            "one size, format and colour map, no drawn axes": not appearance_notes(
                self.appearances
            ),
            "every picture can be read": not self.failures,
        }
        return [name for name, clean in checks.items() if clean]


def audit(
    examples: Examples,
    *,
    pictures: PictureArray | None = None,
    duplicates: str = "near",
    label_issues: list[LabelIssue] | None = None,
    n_measured: int | None = None,
) -> Audit:
    """Compare all pictures with each other, and measure them, or so many drawn at random.

    pictures: the decoded ones, when all can be read and have been. Raises ValueError when fewer
    than two classes have readable pictures.
    """
    some = np.random.default_rng(0).permutation(len(examples))[:n_measured]
    some.sort()
    measured = examples.take(some)
    appearances, failures = measure_appearances(
        measured.files(), None if pictures is None else pictures.take(some)
    )
    if failures:
        measured = measured.take(np.setdiff1d(np.arange(len(some)), list(failures)))
        examples = examples.take(np.setdiff1d(np.arange(len(examples)), some[list(failures)]))
    if len(np.unique(examples.labels)) < 2:
        raise ValueError(f"{examples.root}: fewer than two classes have readable pictures")
    prints = fingerprints(examples.files()) if pictures is None else pictures.prints
    pairs = find_duplicates(prints, examples.groups)
    kept = [one for one in appearances if one]
    return Audit(
        examples=examples,
        appearances=kept,
        failures=list(failures.values()),
        blank=prints.blank,
        duplicates=[pair for pair in pairs if pair.exact or duplicates == "near"],
        shortcuts=find_shortcuts(kept, measured.labels, measured.groups, examples.classes),
        label_issues=label_issues or [],
    )


def appearance_notes(appearances: list[Appearance]) -> list[str]:
    """Sentences on mixed sizes, formats, modes and colour maps, and on drawn axes."""
    notes = []
    for what, values in (
        ("sizes", [f"{one.width}x{one.height}" for one in appearances]),
        ("file formats", [one.file_format for one in appearances]),
        ("modes", [one.mode for one in appearances]),
        ("colour maps", [one.colour_map for one in appearances]),
    ):
        counted = Counter(values)
        if len(counted) > 1:
            common = ", ".join(f"{value}: {n}" for value, n in counted.most_common(4))
            notes.append(f"pictures have {len(counted)} {what} ({common}): were they drawn alike?")
    share = unchanging(appearances)
    if share > 0.01:
        notes.append(
            f"{share:.0%} of the picture is drawn and the same in all: axes, text or a frame; crop "
            "them away, they take room from the music"
        )
    return notes


def unchanging(appearances: list[Appearance]) -> float:
    """Share in [0, 1] of the picture's area that is the same in all pictures, but not plain."""
    if len(appearances) < 10:
        return 0.0
    thumbnails = np.stack([one.thumbnail for one in appearances]).astype(np.float32)
    same = thumbnails.std(axis=0) < 1
    middle = thumbnails.mean(axis=0)
    down, across = np.gradient(middle)
    return float((same & (np.hypot(down, across) > 4)).mean())


def _some(names: list[str], n: int = 3) -> str:
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")


def lines(found: Audit) -> list[str]:
    """The whole audit for a terminal."""
    examples = found.examples
    out = []
    for label, name in enumerate(examples.classes):
        mine = examples.labels == label
        n_groups = len(np.unique(examples.groups[mine]))
        out.append(f"{name}\t{int(mine.sum())} pictures\t{n_groups} groups")
    chance = 1 / len(examples.classes)
    for cue in found.shortcuts:
        out.append(f"by {cue.cue} alone\t{cue.accuracy:.0%} right\tchance {chance:.0%}")
    for pair in found.duplicates:
        what = "same" if pair.exact else f"near {pair.similarity:.2f}"
        out.append(f"{what}\t{examples.paths[pair.first]}\t{examples.paths[pair.second]}")
    for s in found.label_issues[:N_LISTED]:
        out.append(f"label?\t{s.path}\t{s.label} {s.p_label:.2f}\t{s.likelier} {s.p_likelier:.2f}")
    notes = found.findings()
    return [*out, *(f"note: {note}" for note in notes)] if notes else [*out, "nothing odd found"]
