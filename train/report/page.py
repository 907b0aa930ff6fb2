"""report.html: one self-contained page, the answer first."""

import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from common.files import write_text
from common.html import data_uri, fill_template
from common.plots import save_figure
from train.evaluate.metrics import Scores
from train.loop.fit import Progress
from train.report import figures
from train.report.caveats import cautions, supports
from train.report.gallery import Answered, confusions, gallery_of
from train.report.projection import MIN_POINTS, project
from train.report.run_report import RunReport

PACKAGES = ("torch", "torchvision", "timm", "scikit-learn", "numpy", "pillow")
MOST_CLASSES_IN_TABLE = 30
N_BARS = 12


def write_report(run: Path, report: RunReport, finished: list[Progress], tested: Answered) -> None:
    """Write the figures, metrics.txt and report.html into `run`."""
    images = {}
    for name, figure in draw(report.results.test, finished, tested).items():
        save_figure(figure, run / f"{name}.png")
        images[name] = data_uri((run / f"{name}.png").read_bytes(), "png")
    write_text(run / "metrics.txt", "\n".join(report.results.lines()) + "\n")
    html = fill_template(
        Path(__file__).with_name("report.html.jinja"),
        report=report,
        results=report.results,
        protocol=report.protocol,
        images=images,
        gallery=gallery_of(tested),
        supports=supports(report),
        cautions=cautions(report.results, report.protocol),
        table_fits=len(tested.classes) <= MOST_CLASSES_IN_TABLE,
        versions={"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        threads=torch.get_num_threads(),
    )
    write_text(run / "report.html", html)


def draw(test: Scores, finished: list[Progress], tested: Answered) -> dict[str, Figure]:
    """Every figure by its file's name, of the scores of the test and of the tested examples."""
    sizes = np.bincount(tested.labels, minlength=len(tested.classes))
    ranked = [
        (tested.classes[truth], tested.classes[predicted], len(who), len(who) / sizes[truth])
        for truth, predicted, who in confusions(tested)[:N_BARS]
    ]
    drawn = {
        "confusion_matrix": figures.confusion(test.confusion_matrix, list(tested.classes)),
        "per_class_accuracy": figures.per_class(test.per_class),
        "top_confusions": figures.top_confusions(ranked),
        "reliability": figures.reliability(test.reliability),
    }
    if finished:
        drawn["curves"] = figures.curves(finished)
    if len(tested.embedded) >= MIN_POINTS:
        labels = tested.labels[tested.embedded]
        right = tested.predicted[tested.embedded] == labels
        points = project(tested.embeddings)
        drawn["embedding_map"] = figures.embedding_map(points, labels, right, tested.classes)
    return drawn
