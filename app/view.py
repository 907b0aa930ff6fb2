"""What the page shows of an answer: Markdown, and data for the scripts that draw the rest."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from PIL import Image

from app.service import HEADINGS
from common.html import data_uri
from common.plots import class_colours
from inference.output import as_dict, clock, sentence
from inference.prediction import NONE, Prediction
from render.settings import RenderSettings
from render.spectrogram.preview import hertz_labels

HERE = Path(__file__).parent
SHARED = HERE.parent / "train" / "export" / "page"  # scripts of the page that needs no server
WIDEST = 2000  # pixels of a recording's spectrogram


def css() -> str:
    """The page's style."""
    files = HERE / "page.css", SHARED / "player.css"
    return "".join(file.read_text(encoding="utf-8") for file in files)


def theme() -> gr.Theme:
    """Gradio's looks, with a contrast of 4.5:1 on the button of the form for the password too."""
    dark = "*primary_800"
    return gr.themes.Default().set(
        button_primary_background_fill=dark, button_primary_background_fill_dark=dark
    )


def head() -> str:
    """What stands in the page's head: the scripts that draw timelines and tables."""
    files = SHARED / "player.js", SHARED / "table.js", HERE / "library.js", HERE / "page.js"
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    return f'<script type="module">{text}</script>'


def hidden_data(data: dict[str, object]) -> str:
    """Markdown of a code block, which the page's style hides, with the data for page.js.

    In base64, nothing of it is Markdown, LaTeX or HTML.
    """
    return f"```text\n{base64.b64encode(json.dumps(data).encode()).decode()}\n```"


def answer_view(
    prediction: Prediction,
    picture: Image.Image,
    path: str,
    classes: Sequence[str],
    render: RenderSettings | None,
) -> str:
    """Markdown of the answer, with data for page.js.

    picture: the network's input, or the recording's spectrogram.

    path: of the file that was sent, which the browser plays.
    """
    is_recording = bool(prediction.timeline)
    if is_recording and picture.width > WIDEST:
        picture = picture.resize((WIDEST, picture.height), Image.Resampling.BOX)
    about = "Spectrogram: time to the right, frequency upwards"
    data = hidden_data(
        {
            "answer": as_dict(prediction, timeline=True),
            "source": f"gradio_api/file={quote(path)}",
            "picture": _png(picture),
            "about": about if is_recording else "The picture as the network sees it",
            "colours": dict(zip(classes, class_colours(len(classes)), strict=True)),
            "hertz": hertz_labels(render) if render and is_recording else [],
        }
    )
    return f"## {plain(sentence(prediction))}\n\n{data}"


def _png(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return data_uri(out.getvalue(), "png")


def heat_view(picture: Image.Image) -> str:
    """Markdown of Grad-CAM, with data for page.js."""
    about = "Grad-CAM: where the network looked for the class of the answer, in its clearest clip."
    return f"{about}\n\n{hidden_data({'picture': _png(picture), 'about': about})}"


def table_view(rows: list[list[str]]) -> str:
    """Markdown of the rows under HEADINGS as data for page.js."""
    return hidden_data({"headings": HEADINGS, "rows": rows})


def timeline_rows(prediction: Prediction) -> list[list[str]]:
    """Rows (from, to, class, probability, remark) of the clips."""
    return [
        [clock(m.start_s), clock(m.end_s), m.label or NONE, f"{m.probability:.2f}", m.unsure or ""]
        for m in prediction.timeline
    ]


def for_clients(prediction: Prediction) -> dict[str, Any]:
    """The prediction with its timeline as plain data, under "file" the name that was sent.

    Gradio's client would download whatever stands under "path".
    """
    plain = as_dict(prediction, timeline=True)
    return {"file": plain.pop("path"), "answer": prediction.verdict} | plain


def plain(text: str) -> str:
    """Text that Markdown and HTML leave as it is."""
    return "".join(f"&#{ord(c)};" if c in "\\`*_{}[]<>()#+-.!|&~$" else c for c in text)
