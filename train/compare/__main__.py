"""Finished runs side by side, tested on the same pictures: one table, one figure, one verdict.

python -m train.compare runs/a runs/b runs/c              best first; is the best really better?
python -m train.compare runs/a runs/b --ensemble          and the mean of their probabilities
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.cli import DONE, config_from, make_parser, option, run

if TYPE_CHECKING:
    import numpy as np

    from train.compare.finished_run import FinishedRun


@dataclass(frozen=True)
class CompareConfig:
    """Comparison"""

    out: str = option("comparison", "folder for comparison.md, comparison.csv and comparison.png")
    ensemble: bool = option(False, "also test the mean of all models' probabilities")
    speed: bool = option(True, "measure images per second of each model on this machine")


def main() -> int:
    """Read the runs, refuse unlike splits, write and print the table and the verdict."""
    parser = make_parser("python -m train.compare", (__doc__ or "").strip(), CompareConfig)
    parser.add_argument("runs", nargs="+", help="folders of finished runs, at least two")
    args = parser.parse_args()
    if len(args.runs) < 2:
        parser.error("a comparison needs at least two runs")
    config = config_from(args, CompareConfig)
    from train.compare.finished_run import read_run

    runs = [read_run(folder, measure=config.speed) for folder in args.runs]
    text = compare(runs, Path(config.out), ensemble=config.ensemble)
    print(text, f"table and figure: {config.out}", sep="\n")
    return DONE


def compare(runs: "list[FinishedRun]", out: Path, *, ensemble: bool) -> str:
    """Write the table and the figure into `out`; the table and the verdict as text.

    A table of features and pictures of the same recordings are compared by recording. Raises
    ValueError when the runs were not tested on the same examples.
    """
    from common.files import write_csv, write_text
    from train.compare.finished_run import by_recording
    from train.compare.table import HEADINGS, aligned, cells_of, draw, markdown
    from train.report.figures import save_figure

    if not set.intersection(*(set(run.part) for run in runs)):  # pictures of some, rows of others
        runs = [by_recording(run) for run in runs]
    check_same_split(runs)
    rows = sorted((figures_of(run) for run in runs), key=lambda row: -row["test"]["accuracy"])
    lines = [verdict(rows, runs)]
    if ensemble:
        rows.append(_ensemble(runs))
        score = rows[-1]["test"]
        top5 = f", top-5 {score['top5_accuracy']:.3f}" if "top5_accuracy" in score else ""
        lines.append(f"ensemble of {len(runs)}: accuracy {score['accuracy']:.3f}{top5}")
    cells = [cells_of(row) for row in rows]
    write_csv(out / "comparison.csv", HEADINGS, cells)
    write_text(out / "comparison.md", "\n".join([markdown(cells), "", *lines, ""]))
    save_figure(draw(rows), out / "comparison.png")
    return "\n".join([*aligned(cells), *lines])


def check_same_split(runs: "list[FinishedRun]") -> None:
    """Raise ValueError that names the groups which are not in the same part of every split."""
    first = runs[0]
    for other in runs[1:]:
        if other.classes != first.classes:
            raise ValueError(
                f"{other.name} has the classes {', '.join(other.classes)}, {first.name} "
                f"{', '.join(first.classes)}: they cannot be compared"
            )
        paths = first.part.keys() | other.part.keys()
        unlike = [path for path in paths if first.part.get(path) != other.part.get(path)]
        if unlike:
            groups = sorted({(first.groups | other.groups)[path] for path in unlike})
            named = ", ".join(groups[:5]) + (", ..." if len(groups) > 5 else "")
            raise ValueError(
                f"{first.name} and {other.name} have different splits: {len(groups)} groups are "
                f"not in the same part ({named}); train one with --split of the other's split.csv"
            )


def figures_of(run: "FinishedRun") -> dict[str, Any]:
    """The run's facts and the score of its tested examples."""
    return {
        "run": run,
        "model": run.backbone,
        "name": run.name,
        "right": run.probabilities.argmax(axis=1) == run.labels,
        "test": _score(run, run.probabilities),
    }


def _score(run: "FinishedRun", probabilities: "np.ndarray") -> dict[str, Any]:
    from train.evaluate.metrics import score

    return score(probabilities, run.labels, _groups(run), classes=run.classes, majority=0)


def _groups(run: "FinishedRun") -> "np.ndarray":
    import numpy as np

    return np.array([run.groups[path] for path in run.paths])


def _ensemble(runs: "list[FinishedRun]") -> dict[str, Any]:
    """The mean of the runs' probabilities, as one more row."""
    import numpy as np

    mean = np.mean([run.probabilities for run in runs], axis=0)
    return {"run": None, "model": "ensemble", "name": "mean of all", "test": _score(runs[0], mean)}


def verdict(rows: list[dict[str, Any]], runs: "list[FinishedRun]") -> str:
    """One sentence on whether the best of the rows is better than the second."""
    from train.evaluate.paired_test import paired_test

    best, second = rows[:2]
    groups = _groups(runs[0])
    difference, (low, high), p = paired_test(best["right"], second["right"], groups)
    said = "is better than" if p < 0.05 else "cannot be told from"
    return (
        f"{best['model']} ({best['name']}) {said} {second['model']} ({second['name']}): "
        f"{100 * difference:+.1f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f}), "
        f"p = {p:.3f} by exchange of {len(set(groups))} whole groups"
    )


if __name__ == "__main__":
    run(main)
