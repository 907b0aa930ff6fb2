"""The audit as one page of HTML with thumbnails, and as plain data for a run's report."""

import base64
import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, select_autoescape
from PIL import Image

from data.images.read import read_picture

if TYPE_CHECKING:
    from data.audit.audit import Audit

THUMBNAIL_WIDTH = 160
MOST_SHOWN = 24


def thumbnail(file: Path) -> str:
    """A picture as a data URI: JPEG, at most 160 pixels wide."""
    image = Image.fromarray(read_picture(file))
    image.thumbnail((THUMBNAIL_WIDTH, THUMBNAIL_WIDTH))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def as_facts(found: "Audit", notes: list[str]) -> dict[str, Any]:
    """The audit as plain data: notes, colour map, cues, duplicates and suspects with thumbnails."""
    examples = found.examples

    def shown(path: str) -> dict[str, str]:
        return {"path": path, "src": thumbnail(examples.root / path)}

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
    folder = Path(__file__).parent
    page = Environment(loader=FileSystemLoader(folder), autoescape=select_autoescape(default=True))
    html = page.get_template("page.html.jinja").render(
        root=str(found.examples.root), **as_facts(found, notes)
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(html, encoding="utf-8")
