"""report.html: one self-contained page, the answer first."""

import base64
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader, select_autoescape
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from common.files import write_text
from train.loop.fit import Progress
from train.report import figures
from train.report.caveats import answer, to_doubt, to_trust, unit_of
from train.report.gallery import Tested, confusions, tiles

PACKAGES = ("torch", "torchvision", "timm", "scikit-learn", "numpy", "pillow")
MOST_CLASSES_IN_TABLE = 30
N_BARS = 12


def write_report(
    run: Path, facts: dict[str, Any], finished: list[Progress], tested: Tested
) -> None:
    """Write the figures, metrics.txt and report.html into `run`.

    facts: title, metrics, summary (lines), notes (lines), counts (rows of class, pictures, groups,
    test), first_line, command, seconds, config (dict), config_text (YAML), audit (plain data of
    `data.audit.page`, or None), distance (lines on how far the pictures are from training's).
    """
    metrics = facts["metrics"]
    images = {}
    for name, figure in draw(metrics["test"], finished, tested).items():
        figures.save_figure(figure, run / f"{name}.png")
        data = base64.b64encode((run / f"{name}.png").read_bytes()).decode()
        images[name] = f"data:image/png;base64,{data}"
    write_text(run / "metrics.txt", "\n".join(facts["summary"]) + "\n")
    audit = facts["audit"] or {}
    n_duplicates = audit.get("n_exact", 0) + audit.get("n_near", 0)
    folder = FileSystemLoader(Path(__file__).parent)
    page = Environment(loader=folder, autoescape=select_autoescape(default=True))
    html = page.get_template("report.html.jinja").render(
        **facts,
        images=images,
        tiles=tiles(tested),
        main=answer(metrics),
        unit=unit_of(metrics),
        trust=to_trust(metrics, facts["config"], n_duplicates),
        doubt=to_doubt(metrics, facts["config"]),
        table_fits=len(tested.classes) <= MOST_CLASSES_IN_TABLE,
        versions={"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        threads=torch.get_num_threads(),
    )
    write_text(run / "report.html", html)


def draw(test: dict[str, Any], finished: list[Progress], tested: Tested) -> dict[str, Any]:
    """Every figure by its file's name, of the scores of the test and of the tested examples."""
    sizes = np.bincount(tested.labels, minlength=len(tested.classes))
    ranked = [
        (tested.classes[truth], tested.classes[predicted], len(who), len(who) / sizes[truth])
        for truth, predicted, who in confusions(tested)[:N_BARS]
    ]
    drawn = {
        "confusion_matrix": figures.confusion(test["confusion_matrix"], list(tested.classes)),
        "per_class_accuracy": figures.per_class(test["per_class"]),
        "top_confusions": figures.top_confusions(ranked),
        "reliability": figures.reliability(test["reliability"]),
    }
    if finished:
        drawn["curves"] = figures.curves(finished)
    if len(tested.embedded) > 3:
        labels = tested.labels[tested.embedded]
        right = tested.predicted[tested.embedded] == labels
        points = on_a_plane(tested.embeddings)
        drawn["embedding_map"] = figures.embedding_map(points, labels, right, tested.classes)
    return drawn


def on_a_plane(embeddings: np.ndarray) -> np.ndarray:
    """Points float (n, 2) that keep near embeddings (n, F) near: t-SNE; few by two components."""
    n = len(embeddings)
    components = PCA(min(50, n, embeddings.shape[1]), random_state=0).fit_transform(embeddings)
    if n < 30:
        return components[:, :2]
    perplexity = min(30, (n - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(components)
