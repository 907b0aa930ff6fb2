"""The audit: what can be found in an image folder before anything is trained on it."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from data.audit.appearance import Appearance, measure_appearances
from data.audit.duplicates import Duplicate, Duplicates, duplicate_notes, trusted_duplicates
from data.audit.label_errors import LabelIssue
from data.audit.shortcuts import Shortcut, find_shortcuts, shortcut_notes
from data.examples import Examples
from data.images.drawing import Drawing
from data.images.fingerprints import fingerprints
from data.images.picture_array import PictureArray
from data.images.read import find_drawing

N_LISTED = 20  # labels worth a second look, and pairs not believed, in the terminal
N_AUDITED = 2000  # pictures that are measured for shortcuts: some seconds


@dataclass(frozen=True)
class Audit:
    """What was found: `examples` has the readable pictures only, blank and duplicates are of them.

    appearances: of all pictures, or of the random part of them that was looked at; drawing: what is
    undone of how they are drawn.
    """

    examples: Examples
    appearances: list[Appearance]
    failures: list[str]
    blank: np.ndarray
    duplicates: Duplicates
    drawing: Drawing
    shortcuts: list[Shortcut]
    label_issues: list[LabelIssue]

    def findings(self) -> list[str]:
        """One sentence for each thing to think about before training, the gravest first."""
        notes = shortcut_notes(self.shortcuts) + duplicate_notes(self.duplicates, self.examples)
        notes += self.examples.notes
        if crossing := self.examples.groups_in_several_classes():
            notes.append(f"{len(crossing)} groups are in several classes ({_some(crossing)})")
        if self.blank.any():
            names = [str(path) for path in self.examples.paths[self.blank]]
            notes.append(f"{len(names)} pictures are blank ({_some(names)})")
        notes += self.drawing.notes()
        notes += appearance_notes(self.appearances, crops=self.drawing.crop)
        if self.label_issues:
            n_wrong = sum(issue.p_wrong for issue in self.label_issues)
            notes.append(
                f"{len(self.label_issues)} labels are worth a second look; confident learning "
                f"expects {n_wrong:.0f} of them to be wrong"
            )
        return notes + [f"unreadable: {reason}" for reason in self.failures]

    def passed(self) -> list[str]:
        """The checks in which nothing was found."""
        one_label = not self.examples.several_labels  # else these two cannot be looked for
        crossing = self.examples.groups_in_several_classes()
        checks = {
            "no cue but the music tells the classes apart": one_label
            and not shortcut_notes(self.shortcuts),
            "no duplicates under different names": not self.duplicates.pairs,
            "no group in several classes": one_label and not crossing,
            "no blank picture": not self.blank.any(),
            "one size, format and colour map, no drawn axes": not appearance_notes(
                self.appearances, crops=self.drawing.crop
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
    crop: bool = True,
) -> Audit:
    """Compare all pictures with each other, and measure at most N_AUDITED drawn at random.

    pictures: the decoded ones, when all can be read and have been; else crop: whether their frames
    are cropped. Raises ValueError when fewer than two classes have readable pictures.
    """
    failures: dict[int, str] = {}
    if pictures is None:
        drawing = find_drawing(examples.files(), crop=crop)
        prints, failures = fingerprints(examples.files(), drawing)
        examples = examples.take(np.setdiff1d(np.arange(len(examples)), list(failures)))
    else:
        drawing, prints = pictures.drawing, pictures.prints
    if sum(examples.of_class(label).any() for label in range(len(examples.classes))) < 2:
        raise ValueError(f"{examples.root}: fewer than two classes have readable pictures")
    some = np.sort(np.random.default_rng(0).permutation(len(examples))[:N_AUDITED])
    measured = examples.take(some)
    appearances = measure_appearances(measured.files(), drawing)
    found = trusted_duplicates(prints, examples)
    if duplicates != "near":
        found = Duplicates([pair for pair in found.pairs if pair.exact], [], found.threshold)
    return Audit(
        examples=examples,
        appearances=appearances,
        failures=list(failures.values()),
        blank=prints.blank,
        duplicates=found,
        drawing=drawing,
        shortcuts=[]
        if examples.several_labels
        else find_shortcuts(appearances, measured.labels, measured.groups, examples.classes),
        label_issues=label_issues or [],
    )


def appearance_notes(appearances: list[Appearance], *, crops: bool) -> list[str]:
    """Sentences on mixed sizes, formats, modes and colour maps, and on drawn axes.

    crops: whether a frame that was found is cropped, so that nobody has to be told.
    """
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
    if share > 0.01 and not crops:
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
        mine = examples.of_class(label)
        n_groups = len(np.unique(examples.groups[mine]))
        out.append(f"{name}\t{int(mine.sum())} pictures\t{n_groups} groups")
    chance = 1 / len(examples.classes)
    for cue in found.shortcuts:
        out.append(f"by {cue.cue} alone\t{cue.accuracy:.0%} right\tchance {chance:.0%}")
    named: list[tuple[str, Duplicate]]
    named = [("same" if pair.exact else pair.tier, pair) for pair in found.duplicates.pairs]
    named += [("not believed", pair) for pair in found.duplicates.distrusted[:N_LISTED]]
    for kind, pair in named:
        what = kind if pair.exact else f"{kind} {pair.similarity:.2f}"
        out.append(f"{what}\t{examples.paths[pair.first]}\t{examples.paths[pair.second]}")
    for s in found.label_issues[:N_LISTED]:
        out.append(
            f"label?\t{s.path}\t{s.label} {s.p_label:.2f}\t{s.likelier} {s.p_likelier:.2f}"
            f"\twrong {s.p_wrong:.2f}"
        )
    notes = found.findings()
    return [*out, *(f"note: {note}" for note in notes)] if notes else [*out, "nothing odd found"]
