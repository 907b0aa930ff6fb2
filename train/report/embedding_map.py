"""Embeddings of many pictures as a map: near means alike to the network."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, select_autoescape
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from common.files import write_text
from train.report.figures import new_figure

LEAST = 5  # pictures: fewer make no map
N_COMPONENTS = 50  # kept before t-SNE, as its authors do


def project(embeddings: np.ndarray, method: str) -> np.ndarray:
    """Places float (n, 2) of embeddings (n, F) by "tsne" or "umap"; the same for the same input.

    Raises ValueError for fewer than 5, and when UMAP is asked for and is not installed.
    """
    n = len(embeddings)
    if n < LEAST:
        raise ValueError(f"a map of {n} pictures: at least {LEAST} are needed")
    if method == "umap":
        if find_spec("umap") is None:
            raise ValueError("--projection umap: pip install umap-learn, or use tsne")
        from umap import UMAP

        return UMAP(n_neighbors=min(15, n - 1), random_state=0, n_jobs=1).fit_transform(embeddings)
    few = min(N_COMPONENTS, *embeddings.shape)
    reduced = PCA(few, random_state=0).fit_transform(embeddings)
    perplexity = min(30, (n - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)


def draw_map(places: np.ndarray, labels: list[str], classes: list[str], title: str) -> Figure:
    """The places (n, 2) coloured by label."""
    figure, axes = new_figure(7, 5.4)
    for name, colour in zip(classes, colours(len(classes)), strict=True):
        mine = np.array([label == name for label in labels])
        x, y = places[mine].T
        axes.scatter(x, y, s=14, color=colour, label=name, alpha=0.85, linewidths=0)
    axes.set(xticks=[], yticks=[], title=title)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def colours(n: int) -> list[str]:
    """n colours "#rrggbb" that can be told apart, as far as n of them can."""
    import matplotlib
    from matplotlib.colors import to_hex

    if n <= 10:
        return [to_hex(colour) for colour in matplotlib.colormaps["tab10"].colors[:n]]  # type: ignore[attr-defined]
    return [to_hex(matplotlib.colormaps["turbo"]((i + 0.5) / n)) for i in range(n)]


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
    folder = FileSystemLoader(Path(__file__).parent)
    page = Environment(loader=folder, autoescape=select_autoescape(default=True))
    shades = dict(zip(classes, colours(len(classes)), strict=True))
    html = page.get_template("embedding_map.html.jinja").render(
        title=title, points=facts, shades=shades, n=len(facts)
    )
    write_text(file, html)
