"""Finished runs compared: refused on unlike splits, ranked by accuracy, with a verdict."""

from pathlib import Path

import numpy as np

from common.files import write_csv, write_text
from common.html import fill_template, inline_svg
from common.plots import save_figure
from train.compare.finished_run import FinishedRun, whole_recordings
from train.compare.run_split import check_same_split, nothing_shared
from train.compare.table import HEADINGS, Row, aligned, cells_of, draw, markdown
from train.evaluate.metrics import Scores, score
from train.evaluate.paired_test import paired_test

# Options that change where a run is computed and written, not what.
BESIDE_THE_POINT = {"out", "verbose", "wandb", "workers", "cache", "cache_limit", "split"}


def compare(runs: list[FinishedRun], out: Path, *, ensemble: bool) -> str:
    """Write the table, the figure and a page of both into `out`; the table and the verdict as text.

    A table of features and pictures of the same recordings are compared by recording. Raises
    ValueError when the runs were not tested on the same examples.
    """
    splits = [run.split for run in runs]
    check_same_split(splits)
    if nothing_shared(splits):
        runs = [whole_recordings(run) for run in runs]
    rows = [Row(run.backbone, run.name, _score(run, run.probabilities), run) for run in runs]
    rows.sort(key=lambda row: -row.test.accuracy)
    lines = [verdict(rows[0], rows[1]), *differences(runs)]
    if ensemble:
        mean = np.mean([run.probabilities for run in runs], axis=0)
        rows.append(Row("ensemble", "mean of all", _score(runs[0], mean), None))
        lines.append(_ensemble_line(rows[-1].test, len(runs)))
    cells = [cells_of(row) for row in rows]
    write_csv(out / "comparison.csv", HEADINGS, cells)
    write_text(out / "comparison.md", "\n".join([markdown(cells), "", *lines, ""]))
    figure = draw(rows)
    save_figure(figure, out / "comparison.png")
    page = fill_template(
        Path(__file__).with_name("comparison.html.jinja"),
        rows=rows,
        headings=HEADINGS,
        cells=cells,
        lines=lines,
        figure=inline_svg(figure, "comparison", "accuracy and macro F1 of each model"),
    )
    write_text(out / "comparison.html", page)
    return "\n".join([*aligned(cells), *lines])


def differences(runs: list[FinishedRun]) -> list[str]:
    """One line for each option in which the runs differ; for none, one line that says so.

    An option that had no effect in a run is not among its options: those that did in another one
    are in one line for that run.
    """
    names = sorted(set.union(*(set(run.options) for run in runs)) - BESIDE_THE_POINT)
    shared = [name for name in names if all(name in run.options for run in runs)]
    lines = []
    for name in shared:
        values = [str(run.options[name]) for run in runs]
        if len(set(values)) > 1:
            each = [f"{value} ({run.name})" for value, run in zip(values, runs, strict=True)]
            lines.append(f"they differ in {name}: {', '.join(each)}")
    for run in runs:
        own = [
            f"{name} {run.options[name]}" for name in names if name in run.options.keys() - shared
        ]
        if own:
            lines.append(f"with an effect in {run.name}, not in every run: {', '.join(own)}")
    return lines or ["they differ in no option"]


def _score(run: FinishedRun, probabilities: np.ndarray) -> Scores:
    groups = run.tested_groups
    return score(probabilities, run.labels, groups, classes=run.classes, majority=0)


def _ensemble_line(scores: Scores, n_runs: int) -> str:
    top5 = "" if scores.top5_accuracy is None else f", top-5 {scores.top5_accuracy:.3f}"
    return f"ensemble of {n_runs}: accuracy {scores.accuracy:.3f}{top5}"


def verdict(best: Row, second: Row) -> str:
    """One sentence on whether the best run is better than the second."""
    if best.run is None or second.run is None:
        raise ValueError("an ensemble is no run: it was not trained on its own")
    groups = best.run.tested_groups
    difference, (low, high), p = paired_test(best.run.right, second.run.right, groups)
    said = "is better than" if p < 0.05 else "cannot be told from"
    return (
        f"{best.model} ({best.name}) {said} {second.model} ({second.name}): "
        f"{100 * difference:+.1f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f}), "
        f"p = {p:.3f} by exchange of {len(set(groups))} whole groups"
    )
