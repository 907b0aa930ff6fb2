"""Figures drawn without matplotlib's global state: safe in any thread and without a display."""

import warnings
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from common.files import whole_file

MIDDLE_GREY = "#777777"  # a contrast of 4.3 at least with white and with the dark page


def empty_figure(width: float, height: float, dpi: int = 120) -> Figure:
    """A figure of width x height inches, without axes."""
    # Classes have names in any script; in a page, the reader's own fonts have them.
    warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of width x height inches and its one plot."""
    figure = empty_figure(width, height)
    return figure, figure.subplots()


def save_figure(figure: Figure, file: Path) -> None:
    """Write the figure as one whole file of the type that its name ends with, PNG without one.

    Raises ValueError for a type that matplotlib does not write.
    """
    with whole_file(file) as sink:
        figure.savefig(sink, format=file.suffix[1:].lower() or "png")


def on_any_background(figure: Figure) -> Figure:
    """The figure without a background, its text and lines in a grey that white and black suit."""
    figure.patch.set_alpha(0)
    for text in figure.findobj(Text):
        text.set_color(MIDDLE_GREY)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
        axes.tick_params(colors=MIDDLE_GREY)
        for spine in axes.spines.values():
            spine.set_edgecolor(MIDDLE_GREY)
    return figure


def image_of(figure: Figure) -> Image.Image:
    """The figure as an RGBA picture."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.array(canvas.buffer_rgba()))


def class_colours(n: int) -> list[str]:
    """n colours "#rrggbb" that can be told apart, as far as n of them can."""
    if n <= 20:
        table = matplotlib.colormaps["tab10" if n <= 10 else "tab20"]
        return [to_hex(table(i)) for i in range(n)]
    return [to_hex(matplotlib.colormaps["turbo"]((i + 0.5) / n)) for i in range(n)]
