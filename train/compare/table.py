"""The table and the figure of a comparison."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from common.plots import new_figure
from train.compare.finished_run import FinishedRun
from train.evaluate.metrics import Scores

HEADINGS = (
    "model",
    "run",
    "test accuracy",
    "95 % interval",
    "macro F1",
    "top-5",
    "calibration error",
    "validation",
    "parameters",
    "MB",
    "training s",
    "images/s",
)


@dataclass(frozen=True)
class Row:
    """A model of the comparison; run: None for the ensemble of all."""

    model: str
    name: str
    test: Scores
    run: FinishedRun | None


def cells_of(row: Row) -> list[str]:
    """The row's cells under the headings, as text."""
    test, run = row.test, row.run
    low, high = test.accuracy_interval_95
    top5 = "" if test.top5_accuracy is None else f"{test.top5_accuracy:.3f}"
    cells = [row.model, row.name, f"{test.accuracy:.3f}", f"{low:.3f} to {high:.3f}"]
    cells += [f"{test.macro_f1:.3f}", top5, f"{test.expected_calibration_error:.3f}"]
    if run is None:
        return cells + [""] * (len(HEADINGS) - len(cells))
    speed = "" if run.images_per_second is None else f"{run.images_per_second:.0f}"
    cells += [f"{run.validation:.3f}", f"{run.parameters:,}", f"{run.megabytes:.2f}"]
    return [*cells, f"{run.seconds:.0f}", speed]


def markdown(cells: list[list[str]]) -> str:
    """The table as Markdown."""
    rows = [list(HEADINGS), ["---", "---", *["---:"] * (len(HEADINGS) - 2)], *cells]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def aligned(cells: list[list[str]]) -> list[str]:
    """The table for a terminal, without columns that are empty throughout."""
    columns = [column for column in zip(HEADINGS, *cells, strict=True) if any(column[1:])]
    padded = [
        [cell.ljust(width) if i < 2 else cell.rjust(width) for cell in column]
        for i, column in enumerate(columns)
        for width in [max(map(len, column))]
    ]
    return ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]


def draw(rows: list[Row]) -> Figure:
    """Accuracy with its interval, and macro F1, of each row; the first on top."""
    figure, axes = new_figure(7, max(2.0, 0.42 * len(rows) + 1.0))
    places = np.arange(len(rows))[::-1]
    accuracy = np.array([row.test.accuracy for row in rows])
    ends = np.array([row.test.accuracy_interval_95 for row in rows])
    reach = np.clip([accuracy - ends[:, 0], ends[:, 1] - accuracy], 0, None)
    axes.errorbar(accuracy, places, xerr=reach, fmt="o", capsize=3, label="accuracy, 95 % interval")
    axes.plot([row.test.macro_f1 for row in rows], places, "x", label="macro F1")
    axes.set_yticks(places, [f"{row.model}\n{row.name}" for row in rows], fontsize=8)
    axes.set(xlim=(0, 1.01), ylim=(-0.6, len(rows) - 0.4))
    axes.set_xlabel(f"on the same {rows[0].test.n} tested examples")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return figure
