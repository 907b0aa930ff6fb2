"""The audit as one page of HTML with thumbnails, and as plain data for a run's report."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.files import write_text
from common.html import fill_template, thumbnail_uri
from data.images.read import read_picture

if TYPE_CHECKING:
    from data.audit.audit import Audit

THUMBNAIL_WIDTH = 160
MOST_SHOWN = 24


def as_facts(found: "Audit", notes: list[str]) -> dict[str, Any]:
    """The audit as plain data: notes, colour map, cues, duplicates and suspects with thumbnails."""
    examples = found.examples

    def shown(path: str) -> dict[str, str]:
        return {
            "path": path,
            "src": thumbnail_uri(read_picture(examples.root / path), width=THUMBNAIL_WIDTH),
        }

    readable = set(examples.paths)
    across = [p for p in found.duplicates if examples.labels[p.first] != examples.labels[p.second]]
    pairs = across + [pair for pair in found.duplicates if pair not in across]
    return {
        "notes": notes,
        "colour_map": Counter(one.colour_map for one in found.appearances).most_common(1)[0][0],
        "n_pictures": len(examples),
        "n_exact": sum(pair.exact for pair in pairs),
        "n_near": sum(not pair.exact for pair in pairs),
        "chance": 1 / len(examples.classes),
        "cues": [{"cue": cue.cue, "accuracy": cue.accuracy} for cue in found.shortcuts],
        "duplicates": [
            {
                "similarity": pair.similarity,
                "exact": pair.exact,
                "in_two_classes": pair in across,
                "pictures": [shown(str(examples.paths[i])) for i in pair[:2]],
            }
            for pair in pairs[:MOST_SHOWN]
        ],
        "suspects": [
            suspect._asdict() | shown(suspect.path)
            for suspect in found.suspects[:MOST_SHOWN]
            if suspect.path in readable
        ],
    }  # fmt: skip


def write_page(file: Path, found: "Audit", notes: list[str]) -> None:
    """Write the audit as one self-contained page."""
    template = Path(__file__).with_name("page.html.jinja")
    root = str(found.examples.root)
    write_text(file, fill_template(template, root=root, **as_facts(found, notes)))
