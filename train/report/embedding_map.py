"""Embeddings of many pictures as a map: near means alike to the network."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from common.files import write_text
from common.html import fill_template
from common.plots import class_colours, new_figure
from train.report.figures import MARKERS

# Beside colours, which not all readers tell apart: circle, square, triangle, diamond, cross, star.
SHAPES = (
    "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0z",
    "M-5.5-5.5h11v11h-11z",
    "M0-7.5L7 5.5H-7z",
    "M0-8L7 0L0 8L-7 0z",
    "M-2.2-7.5h4.4v5.3h5.3v4.4h-5.3v5.3h-4.4v-5.3h-5.3v-4.4h5.3z",
    "M0-8L2-2.5L8-2.5L3.2 1.2L5 7L0 3.6L-5 7L-3.2 1.2L-8-2.5L-2-2.5z",
)


def draw_map(places: np.ndarray, labels: list[str], classes: list[str], title: str) -> Figure:
    """The places (n, 2) coloured by label."""
    figure, axes = new_figure(7, 5.4)
    markers = itertools.cycle(MARKERS)
    for name, colour in zip(classes, class_colours(len(classes)), strict=True):
        marker = next(markers)
        mine = np.array([label == name for label in labels])
        x, y = places[mine].T
        axes.scatter(x, y, s=18, color=colour, marker=marker, label=name, alpha=0.85, lw=0)
    axes.set(xticks=[], yticks=[], title=title)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def write_page(
    file: Path, places: np.ndarray, points: list[dict[str, Any]], classes: list[str], title: str
) -> None:
    """Write one page in which each point shows its picture; nothing is loaded from anywhere.

    points: path, label, predicted, probability and picture (a data URI) of each place.
    """
    low, high = places.min(axis=0), places.max(axis=0)
    at = (places - low) / np.maximum(high - low, 1e-9)
    facts = [
        point | {"x": round(float(x), 4), "y": round(float(1 - y), 4)}
        for point, (x, y) in zip(points, at, strict=True)
    ]
    template = Path(__file__).with_name("embedding_map.html.jinja")
    shades = dict(zip(classes, class_colours(len(classes)), strict=True))
    html = fill_template(
        template, title=title, points=facts, shades=shades, shapes=SHAPES, n=len(facts)
    )
    write_text(file, html)
