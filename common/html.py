"""Pages that need no other file: templates with names escaped, pictures inside as data URIs."""

import base64
import io
import re
import time
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image


def fill_template(template: Path, **values: object) -> str:
    """The text of a Jinja template with the values, in which names are names: no HTML, no link.

    In `<name>.html.jinja` they are escaped; Markdown shows HTML as well, and keeps what is code.
    Pages extend templates/base.html.jinja: one typography, light, dark and printed. `date` is
    today's.
    """
    html = template.name.endswith(".html.jinja")
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent / "templates"]),
        autoescape=html,
        trim_blocks=not html,
        finalize=None if html else _in_markdown,
    )
    environment.filters |= {"cell": _cell, "code": lambda text: Markup(str(text).replace("`", "'"))}
    environment.globals["date"] = time.strftime("%Y-%m-%d")
    return environment.get_template(template.name).render(**values)


def _in_markdown(value: object) -> object:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return value.replace("<", "&lt;").replace("](", "]\\(")


def _cell(text: object) -> str:
    """The text inside a cell of a Markdown table, where `|` is special, too."""
    return " ".join(str(text).replace("|", "\\|").split())


def data_uri(content: bytes, kind: str) -> str:
    """A picture file's bytes as a data URI; kind: "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def inline_svg(figure: Figure, name: str, about: str) -> Markup:
    """The figure as SVG inside a page, in the page's own ink and without a background.

    name: sets its ids apart from those of other figures; about: what a screen reader says.
    """
    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{name}-", text)
    # What matplotlib draws black, in any of its spellings, is the page's ink.
    text = text.replace("#000000", "currentColor").replace("fill: black", "fill: currentColor")
    opened = f'<svg role="img" aria-label="{escape(about)}" class="figure"'
    return Markup(text.replace("<svg", opened, 1))


def thumbnail_uri(
    picture: np.ndarray, *, width: int = 240, shape: tuple[int, int] | None = None
) -> str:
    """The picture uint8 (H, W, 3) as the data URI of a JPEG, `width` pixels wide.

    Its proportions are those of `shape`, (width, height), or its own; between 5:1 and 1:2.
    """
    across, down = shape or (picture.shape[1], picture.shape[0])
    size = (width, round(width * min(max(down / across, 0.2), 2)))
    out = io.BytesIO()
    Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR).save(out, "JPEG", quality=80)
    return data_uri(out.getvalue(), "jpeg")
