"""Figures of a run: learning curves, confusion matrix, per-class bars."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from train.files import write_whole
from train.loop import Progress


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of width x height inches with one plot; no global state, safe in any thread."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def save_figure(figure: Figure, file: Path) -> None:
    """Write the figure as one whole PNG file."""
    write_whole(file, lambda temporary: figure.savefig(temporary, format="png"))


def confusion(matrix: list[list[int]], classes: list[str]) -> Figure:
    """Rows are true classes, columns predicted; colour is the row's share, text the count."""
    counts = np.array(matrix)
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(3.2, 0.55 * len(classes) + 1.6)
    figure, axes = new_figure(side + 0.6, side)
    image = axes.imshow(rates, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xticks(range(len(classes)), classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if rates[row, column] > 0.55 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def per_class(scores: dict[str, dict[str, Any]]) -> Figure:
    """Recall and precision of each class as horizontal bars, the best recall at the top."""
    names = sorted(scores, key=lambda name: scores[name]["recall"])
    rows = np.arange(len(names))
    figure, axes = new_figure(6, max(2.0, 0.42 * len(names) + 0.9))
    axes.barh(rows + 0.2, [scores[n]["recall"] for n in names], 0.38, label="recall")
    axes.barh(rows - 0.2, [scores[n]["precision"] for n in names], 0.38, label="precision")
    axes.set_yticks(rows, [f"{n} ({scores[n]['n']})" for n in names])
    axes.set(xlim=(0, 1), xlabel="on the test pictures (their number in brackets)")
    axes.legend(loc="lower right", fontsize=8)
    return figure


def curves(finished: list[Progress]) -> Figure:
    """Loss of every fold by epoch, training dashed, validation solid, a dot at the chosen epoch."""
    figure, axes = new_figure(7, 3.4)
    for k, progress in enumerate(finished, start=1):
        colour = f"C{(k - 1) % 10}"
        epochs = range(1, len(progress.history) + 1)
        axes.plot(epochs, [r["train_loss"] for r in progress.history], "--", color=colour, lw=0.8)
        validation = [r["validation_loss"] for r in progress.history]
        axes.plot(epochs, validation, color=colour, lw=1.4, label=f"fold {k}")
        axes.plot(progress.best_row + 1, validation[progress.best_row], "o", color=colour)
    axes.set(xlabel="epoch: the head alone, then fine-tuning", ylabel="cross-entropy loss")
    axes.set_title("dashed: training, solid: validation, dot: chosen epoch", fontsize=9)
    axes.legend(fontsize=8)
    return figure
