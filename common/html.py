"""Pages that need no other file: templates with names escaped, pictures inside as data URIs."""

import base64
import io
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader
from PIL import Image


def fill_template(template: Path, **values: object) -> str:
    """The text of a Jinja template with the values; in `<name>.html.jinja` they are escaped."""
    html = template.name.endswith(".html.jinja")
    environment = Environment(
        loader=FileSystemLoader(template.parent), autoescape=html, trim_blocks=not html
    )
    environment.filters["cell"] = _cell
    return environment.get_template(template.name).render(**values)


def _cell(text: object) -> str:
    """The text inside a cell of a Markdown table: Markdown is not HTML, only `|` is special."""
    return " ".join(str(text).replace("|", "\\|").split())


def data_uri(content: bytes, kind: str) -> str:
    """A picture file's bytes as a data URI; kind: "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


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
