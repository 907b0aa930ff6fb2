"""The audit as a reader sees it: a page of HTML with thumbnails, or a part of a run's report."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.files import write_text
from common.html import fill_template, thumbnail_uri
from data.audit.audit import Audit
from data.audit.duplicates import Duplicate, Tier
from data.audit.label_errors import LabelIssue
from data.audit.shortcuts import Shortcut
from data.images.frame import Box
from data.images.read import looked_at, picture_sizes

THUMBNAIL_WIDTH = 160
EXAMPLE_WIDTH = 360  # pixels of the picture on which the frame is shown
FRAME_COLOUR = (230, 30, 60)
N_LOOKED_AT = 100  # pictures among which one with a frame is looked for
N_SHOWN = 24  # pairs of duplicates, and labels worth a second look


@dataclass(frozen=True)
class Thumbnail:
    """A small picture: its path in the folder, and a data URI."""

    path: str
    src: str


@dataclass(frozen=True)
class DuplicatePair:
    """Two pictures that are the same (similarity 1), nearly so, or similar: their tier."""

    pictures: tuple[Thumbnail, Thumbnail]
    similarity: float
    tier: Tier
    in_two_classes: bool


@dataclass(frozen=True)
class DrawingExample:
    """A picture of the folder with its frame drawn on it, and as a network sees it."""

    file: Thumbnail
    seen: Thumbnail


@dataclass(frozen=True)
class AuditReport:
    """What was found, with thumbnails of the first duplicates and labels worth a second look.

    passed: the checks in which nothing was found; colour_map: that of most pictures as a network
    sees them; n_exact, n_near, n_similar: pairs of duplicates; distrusted: the first of the
    n_distrusted pairs that are not believed; cues: how well each alone tells the classes; chance:
    1 / C, to compare it with; example: None where pictures are taken as they are.
    """

    notes: list[str]
    passed: list[str]
    colour_map: str
    n_pictures: int
    n_exact: int
    n_near: int
    n_similar: int
    n_distrusted: int
    chance: float
    cues: list[Shortcut]
    duplicates: list[DuplicatePair]
    distrusted: list[DuplicatePair]
    label_issues: list[tuple[Thumbnail, LabelIssue]]
    example: DrawingExample | None = None

    @property
    def n_pairs(self) -> int:
        """Pairs that are kept together."""
        return self.n_exact + self.n_near + self.n_similar

    @classmethod
    def of(cls, found: Audit) -> "AuditReport":
        """The report on an audit; duplicates in two classes come first."""
        examples = found.examples
        labels, readable = examples.labels, set(examples.paths)
        pairs = sorted(
            found.duplicates.pairs,
            key=lambda pair: (labels[pair.first] == labels[pair.second]).all(),
        )
        issues = [issue for issue in found.label_issues[:N_SHOWN] if issue.path in readable]
        n_of = Counter(pair.tier for pair in pairs)
        return cls(
            notes=found.findings(),
            passed=found.passed(),
            colour_map=found.drawing.shown if found.drawing.colour_map else _commonest_map(found),
            n_pictures=len(examples),
            n_exact=n_of["exact"],
            n_near=n_of["near"],
            n_similar=n_of["similar"],
            n_distrusted=len(found.duplicates.distrusted),
            chance=1 / len(examples.classes),
            cues=found.shortcuts,
            duplicates=[_pair(found, pair) for pair in pairs[:N_SHOWN]],
            distrusted=[_pair(found, pair) for pair in found.duplicates.distrusted[:N_SHOWN]],
            label_issues=[(_thumbnail(found, issue.path), issue) for issue in issues],
            example=_example(found),
        )


def _thumbnail(found: Audit, path: str) -> Thumbnail:
    with looked_at(found.examples.root / path) as pixels:
        return Thumbnail(path, thumbnail_uri(pixels, width=THUMBNAIL_WIDTH))


def _pair(found: Audit, pair: Duplicate) -> DuplicatePair:
    paths, labels = found.examples.paths, found.examples.labels
    return DuplicatePair(
        pictures=(
            _thumbnail(found, str(paths[pair.first])),
            _thumbnail(found, str(paths[pair.second])),
        ),
        similarity=pair.similarity,
        tier=pair.tier,
        in_two_classes=bool((labels[pair.first] != labels[pair.second]).any()),
    )


def _example(found: Audit) -> DrawingExample | None:
    """The first picture that was looked at and has a frame; else the first of another drawing."""
    drawing, examples = found.drawing, found.examples
    if not drawing.notes():
        return None
    cropped = {frame.size: frame.box for frame in drawing.frames if frame.box.size != frame.size}
    paths = [str(path) for path in examples.paths[:N_LOOKED_AT]]
    sizes = picture_sizes([examples.root / path for path in paths])
    framed = (i for i, size in enumerate(sizes) if size in cropped)
    i = next(framed, 0)
    path, size = paths[i], sizes[i]
    with looked_at(examples.root / path) as pixels:
        if size and (box := cropped.get(size)):
            height, width = pixels.shape[:2]
            pixels = _with_frame(pixels, box.scaled(width / size[0], height / size[1]))
        file = Thumbnail(path, thumbnail_uri(pixels, width=EXAMPLE_WIDTH))
    with looked_at(examples.root / path, drawing) as pixels:
        return DrawingExample(file, Thumbnail(path, thumbnail_uri(pixels, width=EXAMPLE_WIDTH)))


def _with_frame(pixels: np.ndarray, box: Box) -> np.ndarray:
    """The picture with a line around what is kept of it."""
    thick = max(1, round(pixels.shape[1] / EXAMPLE_WIDTH * 2))
    line = np.zeros(pixels.shape[:2], bool)
    line[max(0, box.top - thick) : box.bottom + thick,
         max(0, box.left - thick) : box.right + thick] = True  # fmt: skip
    line[box.top : box.bottom, box.left : box.right] = False
    return np.where(line[..., None], np.array(FRAME_COLOUR, np.uint8), pixels)


def _commonest_map(found: Audit) -> str:
    return Counter(one.colour_map for one in found.appearances).most_common(1)[0][0]


def write_page(file: Path, found: Audit) -> None:
    """Write the audit as one self-contained page."""
    template = Path(__file__).with_name("report.html.jinja")
    root, report = str(found.examples.root), AuditReport.of(found)
    write_text(file, fill_template(template, root=root, audit=report))
