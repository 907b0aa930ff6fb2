"""Embeddings of many pictures as a map: near means alike to the network."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from common.files import write_text
from common.html import fill_template
from common.plots import class_colours, new_figure


def draw_map(places: np.ndarray, labels: list[str], classes: list[str], title: str) -> Figure:
    """The places (n, 2) coloured by label."""
    figure, axes = new_figure(7, 5.4)
    for name, colour in zip(classes, class_colours(len(classes)), strict=True):
        mine = np.array([label == name for label in labels])
        x, y = places[mine].T
        axes.scatter(x, y, s=14, color=colour, label=name, alpha=0.85, linewidths=0)
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
    write_text(
        file, fill_template(template, title=title, points=facts, shades=shades, n=len(facts))
    )
