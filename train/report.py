"""report.html: one self-contained page, the answer first."""

import base64
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, FileSystemLoader, select_autoescape

from train import figures
from train.files import write_text
from train.loop import Progress

PACKAGES = ("torch", "torchvision", "timm", "scikit-learn", "numpy", "pillow")


def write_report(run: Path, facts: dict[str, Any], finished: list[Progress]) -> None:
    """Write the figures and report.html into `run`.

    facts: title, classes, metrics, summary (lines), notes (lines), counts (rows of class, pictures,
    groups, test), first_line, config (YAML text), command, seconds.
    """
    test = facts["metrics"]["test"]
    drawn = {
        "confusion_matrix": figures.confusion(test["confusion_matrix"], facts["classes"]),
        "per_class_accuracy": figures.per_class(test["per_class"]),
        "curves": figures.curves(finished),
    }
    images = {}
    for name, figure in drawn.items():
        figures.save_figure(figure, run / f"{name}.png")
        data = base64.b64encode((run / f"{name}.png").read_bytes()).decode()
        images[name] = f"data:image/png;base64,{data}"
    folder = FileSystemLoader(Path(__file__).parent)
    page = Environment(loader=folder, autoescape=select_autoescape(default=True))
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    html = page.get_template("report.html.jinja").render(
        **facts, images=images, versions=versions, threads=torch.get_num_threads()
    )
    write_text(run / "report.html", html)
