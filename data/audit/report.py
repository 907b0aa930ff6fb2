"""The audit as a reader sees it: a page of HTML with thumbnails, or a part of a run's report."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from common.files import write_text
from common.html import fill_template, thumbnail_uri
from data.audit.audit import Audit
from data.audit.label_errors import LabelIssue
from data.audit.shortcuts import Shortcut
from data.images.colour_map import SHOWN
from data.images.read import read_picture

THUMBNAIL_WIDTH = 160
N_SHOWN = 24  # pairs of duplicates, and suspected labels


@dataclass(frozen=True)
class Thumbnail:
    """A small picture: its path in the folder, and a data URI."""

    path: str
    src: str


@dataclass(frozen=True)
class DuplicatePair:
    """Two pictures that are the same (similarity 1, exact) or nearly so."""

    pictures: tuple[Thumbnail, Thumbnail]
    similarity: float
    exact: bool
    in_two_classes: bool


@dataclass(frozen=True)
class AuditReport:
    """What was found, with thumbnails of the first duplicates and suspected labels.

    passed: the checks in which nothing was found; colour_map: that of most pictures as a network
    sees them; n_exact, n_near:
    pairs of duplicates; cues: how well each alone tells the classes; chance: 1 / C, to compare it
    with.
    """

    notes: list[str]
    passed: list[str]
    colour_map: str
    n_pictures: int
    n_exact: int
    n_near: int
    chance: float
    cues: list[Shortcut]
    duplicates: list[DuplicatePair]
    label_issues: list[tuple[Thumbnail, LabelIssue]]

    @classmethod
    def of(cls, found: Audit) -> "AuditReport":
        """The report on an audit; duplicates in two classes come first."""
        examples = found.examples
        labels, readable = examples.labels, set(examples.paths)
        pairs = sorted(
            found.duplicates.pairs, key=lambda pair: labels[pair.first] == labels[pair.second]
        )
        issues = [issue for issue in found.label_issues[:N_SHOWN] if issue.path in readable]
        n_exact = sum(pair.exact for pair in pairs)

        def thumbnail(path: str) -> Thumbnail:
            pixels = read_picture(examples.root / path)
            return Thumbnail(path, thumbnail_uri(pixels, width=THUMBNAIL_WIDTH))

        return cls(
            notes=found.findings(),
            passed=found.passed(),
            colour_map=SHOWN if found.drawing.colour_map else _commonest_map(found),
            n_pictures=len(examples),
            n_exact=n_exact,
            n_near=len(pairs) - n_exact,
            chance=1 / len(examples.classes),
            cues=found.shortcuts,
            duplicates=[
                DuplicatePair(
                    pictures=(
                        thumbnail(str(examples.paths[pair.first])),
                        thumbnail(str(examples.paths[pair.second])),
                    ),
                    similarity=pair.similarity,
                    exact=pair.exact,
                    in_two_classes=labels[pair.first] != labels[pair.second],
                )
                for pair in pairs[:N_SHOWN]
            ],
            label_issues=[(thumbnail(issue.path), issue) for issue in issues],
        )


def _commonest_map(found: Audit) -> str:
    return Counter(one.colour_map for one in found.appearances).most_common(1)[0][0]


def write_page(file: Path, found: Audit) -> None:
    """Write the audit as one self-contained page."""
    template = Path(__file__).with_name("report.html.jinja")
    root, report = str(found.examples.root), AuditReport.of(found)
    write_text(file, fill_template(template, root=root, audit=report))
