"""report.html: one self-contained page, the answer first."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from markupsafe import Markup
from matplotlib.figure import Figure

from common.files import write_text
from common.html import data_uri, fill_template, inline_svg
from common.plots import save_figure
from train.evaluate.frozen_features import (
    FrozenFeatures,
    LeakageLevel,
    LearningCurve,
    leakage_levels,
    learning_curve,
)
from train.evaluate.metrics import ClassScores, Scores
from train.loop.state import Progress
from train.report import figures
from train.report.caveats import (
    calibration_sentence,
    cautions,
    in_several,
    quotation,
    supports,
)
from train.report.gallery import Answered, confusions, gallery_of
from train.report.projection import MIN_POINTS, project
from train.report.run_report import RunReport

PACKAGES = ("torch", "torchvision", "timm", "scikit-learn", "numpy", "pillow")
TABLE_SCRIPT = Path(__file__).parents[1] / "export" / "page" / "table.js"
MANY_CLASSES = 30  # more make no table that a reader could look over
N_BARS, N_LOWEST = 12, 60
# What a screen reader says of the figures inside the page.
ABOUT = {
    "reliability": "reliability diagram: accuracy by probability",
    "embedding_map": "map of the embeddings",
    "curves": "loss by epoch of every fold",
    "precision_recall": "precision by recall of each class",
    "learning_curve": "accuracy by the number of training groups",
}


@dataclass(frozen=True)
class FrozenFindings:
    """What the frozen features tell: the learning curve, if any, in a sentence, and the leaks."""

    curve: LearningCurve | None
    levels: list[LeakageLevel]

    @classmethod
    def of(cls, features: FrozenFeatures | None) -> "FrozenFindings | None":
        """The findings; None where there is nothing to say."""
        if features is None:
            return None
        curve, levels = learning_curve(features), leakage_levels(features)
        return cls(curve, levels) if curve or levels else None

    @property
    def sentence(self) -> str:
        """What more groups would be worth."""
        if self.curve is None:
            return ""
        n = self.curve.n_groups[-1]
        n_more = 10 ** round(np.log10(n))
        gain, low, high = (100 * figure for figure in self.curve.worth(n_more))
        said = f"{n_more} more groups beside these {n} are worth about {gain:.0f} points"
        return f"{said} of accuracy (95 % interval {low:.0f} to {high:.0f}), if the trend goes on."


def write_report(run: Path, report: RunReport, finished: list[Progress], tested: Answered) -> None:
    """Write the figures, metrics.txt and report.html into `run`."""
    results = report.results
    drawn = draw(results.test, finished, tested)
    for name, figure in drawn.items():
        save_figure(figure, run / f"{name}.png")
    frozen = FrozenFindings.of(report.frozen)
    inside = drawn | {"reliability": figures.reliability(results.estimate.reliability)}
    if report.curves:
        inside["precision_recall"] = figures.precision_recall(report.curves)
    if frozen and frozen.curve:
        inside["learning_curve"] = figures.learning_curve(frozen.curve)
    write_text(run / "metrics.txt", "\n".join(results.lines()) + "\n")
    html = fill_template(
        Path(__file__).with_name("report.html.jinja"),
        report=report,
        results=results,
        figures=_inline(inside),
        frozen=frozen,
        gallery=gallery_of(tested, trusted=not results.estimate.off_calibration),
        supports=supports(report),
        cautions=cautions(results, report.protocol),
        quotation=quotation(report),
        calibration=calibration_sentence(results.estimate),
        in_several=in_several(results) if results.several else "",
        many_classes=len(tested.classes) > MANY_CLASSES,
        lowest=_lowest(results.estimate),
        confusion_png=None
        if tested.several
        else data_uri((run / "confusion_matrix.png").read_bytes(), "png"),
        counts=[*report.counts[:-1][:N_LOWEST], report.counts[-1]],
        largest=max([1, *(row.n_examples for row in report.counts[:-1])]),
        versions={"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        threads=torch.get_num_threads(),
        table_script=Markup(TABLE_SCRIPT.read_text(encoding="utf-8")),
    )
    write_text(run / "report.html", html)


def _inline(drawn: dict[str, Figure]) -> dict[str, Markup]:
    return {
        name: inline_svg(drawn[name], name, about) for name, about in ABOUT.items() if name in drawn
    }


def _lowest(scores: Scores) -> list[tuple[str, ClassScores]]:
    """(class, its scores), the lowest recall first, 60 at most."""
    return sorted(scores.per_class.items(), key=lambda item: item[1].recall)[:N_LOWEST]


def draw(test: Scores, finished: list[Progress], tested: Answered) -> dict[str, Figure]:
    """Every figure by its file's name, of the scores of the test and of the tested examples."""
    drawn = {
        "per_class_accuracy": figures.per_class(test.per_class),
        "reliability": figures.reliability(test.reliability),
    }
    if finished:
        drawn["curves"] = figures.curves(finished)
    return drawn if tested.several else drawn | _of_one_label(test, tested)


def _of_one_label(test: Scores, tested: Answered) -> dict[str, Figure]:
    """The figures in which an example has one class: what was taken for what, and the map."""
    sizes = np.bincount(tested.labels, minlength=len(tested.classes))
    ranked = [
        (tested.classes[truth], tested.classes[predicted], len(who), len(who) / sizes[truth])
        for truth, predicted, who in confusions(tested)[:N_BARS]
    ]
    drawn = {
        "confusion_matrix": figures.confusion(test.confusion_matrix, list(tested.classes)),
        "top_confusions": figures.top_confusions(ranked),
    }
    if len(tested.embedded) >= MIN_POINTS:
        labels = tested.labels[tested.embedded]
        right = tested.predicted[tested.embedded] == labels
        points = project(tested.embeddings)
        drawn["embedding_map"] = figures.embedding_map(points, labels, right, tested.classes)
    return drawn
