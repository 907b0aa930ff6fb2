"""Explanations as one page, to read and to send around."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from common.files import write_text
from common.html import data_uri, fill_template, inline_svg
from common.plots import image_of, on_any_background
from inference.explain.pictures import PredictedPictures

N_SHOWN = 100  # pictures in one page, which is then 6 MB
N_ANSWERS = 3
TEMPLATE = Path(__file__).with_name("page.html.jinja")


@dataclass(frozen=True)
class ExplainedPicture:
    """A picture in the page. top: its likeliest (class, probability); label: what is explained.

    figure: its spectrogram and explanations, a data URI.
    """

    name: str
    path: str
    top: tuple[tuple[str, float], ...]
    label: str
    figure: str


def explained(pictures: PredictedPictures, i: int, label: str, figure: Figure) -> ExplainedPicture:
    """The i-th picture as the page shows it; the figure loses its title and background."""
    shares = pictures.probabilities[i]
    best = shares.argsort()[::-1][:N_ANSWERS]
    top = tuple((pictures.classes[k], float(shares[k])) for k in best)
    figure.axes[0].set_title("")
    out = io.BytesIO()
    image_of(on_any_background(figure)).save(out, "WEBP", quality=80)
    path = Path(pictures.paths[i])
    return ExplainedPicture(path.name, str(path), top, label, data_uri(out.getvalue(), "webp"))


def write_pictures(
    file: Path, shown: Sequence[ExplainedPicture], pictures: PredictedPictures, *, attention: bool
) -> None:
    """Write the page of pictures; attention: whether their figures show it too."""
    n = len(pictures.paths)
    title = f"Explanation of {shown[0].name if n == 1 else f'{n} pictures'}"
    model = f"{pictures.backbone}, {len(pictures.classes)} classes"
    _write(file, title, model=model, pictures=shown, n=n, attention=attention)


def write_columns(file: Path, figure: Figure, source: str, n_rows: int, model: str) -> None:
    """Write the page of a table's columns; figure: of their SHAP values."""
    about = "Mean absolute SHAP value of each column, by class"
    svg = inline_svg(figure, "shap", about)
    _write(file, f"Explanation of {source}", model=model, shap=svg, source=source, n=n_rows)


def _write(file: Path, title: str, **values: object) -> None:
    write_text(file, fill_template(TEMPLATE, title=title, **values))
