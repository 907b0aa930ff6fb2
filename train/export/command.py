"""Every form that is asked for, and the table of how well each agrees with the original."""

import sys
import time
from pathlib import Path

import numpy as np

from common.cli import BAD_INPUT, DONE, SOME_LEFT_OUT
from data.config import parse_size
from data.images.read import ImageSpec, list_pictures, read_picture, whole_picture
from train.evaluate.calibration import LabelCalibration
from train.export.config import ExportConfig
from train.export.formats import FORMATS, Original
from train.export.state_dict import import_state_dict
from train.export.static_page import write_page
from train.models import model_file
from train.models.facts import ModelFacts
from train.models.network import Network, TorchNetwork

BATCH = 16
LEAST_SECONDS = 1.0  # of timing each form
HEADINGS = ("form", "MB", "pictures/s", "same class", "largest difference")


def import_weights(config: ExportConfig) -> int:
    """Make a model file of --from-state-dict and print what it is."""
    names = Path(config.classes or "").read_text(encoding="utf-8").splitlines()
    classes = tuple(name.strip() for name in names if name.strip())
    if len(set(classes)) < len(classes):
        raise ValueError(f"{config.classes}: a class is named twice")
    out = Path(config.out or "model.pth")
    if out.exists():
        raise ValueError(f"{out} is there already: give another --out")
    size = parse_size(config.image_size)
    import_state_dict(Path(config.from_state_dict or ""), classes, size, out)
    print(f"{out}: {len(classes)} classes; its probabilities are not calibrated")
    return DONE


def export_model(file: Path, config: ExportConfig) -> int:
    """Write each form, then check it, and print the table; the exit code."""
    facts, weights = model_file.read(file)
    if facts.is_table:
        raise ValueError(
            f"{file} classifies rows of tables; only networks of pictures are exported"
        )
    original = Original(model_file.rebuilt(facts, weights), facts)
    if config.page:
        facts.need_one_label("the page of --page answers with one class")
        folder = Path(config.page)
        write_page(original, folder)
        print(f"{folder}: a page of {_megabytes(folder)} MB; python -m http.server -d {folder}")
    if not any(config.forms):
        return DONE
    pictures = _pictures(config, facts.image, facts.config.get("data"))
    truth, rate = _timed(TorchNetwork(original.module), pictures, facts)
    rows = [HEADINGS, (str(file), _megabytes(file), f"{rate:.0f}", "", "")]
    out, left_out = Path(config.out or file.parent / "exported"), list[str]()
    for name, (target, write) in FORMATS.items():
        if not getattr(config, name):
            continue
        try:
            network = write(original, out / target, pictures)
        except ValueError as error:  # this network has no such form; the others are not lost
            left_out.append(str(error))
            continue
        answers, rate = _timed(network, pictures, facts)
        same = _same_answers(answers, truth, facts.several)
        size, worst = _megabytes(out / target), abs(answers - truth).max()
        rows.append((str(out / target), size, f"{rate:.0f}", f"{same:.1%}", f"{worst:.1e}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
    print(f"on {len(pictures)} pictures, {BATCH} at a time")
    for reason in left_out:
        print(f"error: {reason}", file=sys.stderr)
    if left_out:
        return SOME_LEFT_OUT if len(rows) > 2 else BAD_INPUT
    return DONE


def _pictures(config: ExportConfig, spec: ImageSpec, trained_on: str | None) -> np.ndarray:
    """Real pictures uint8 (n, height, width, 3), spread over the folder."""
    folder = config.pictures or trained_on
    found = list_pictures(Path(folder)) if folder and Path(folder).is_dir() else []
    if not found:
        raise ValueError(f"no pictures in {folder} to check on: give --pictures FOLDER")
    chosen = np.linspace(0, len(found) - 1, min(config.n_pictures, len(found))).round().astype(int)
    pictures = (read_picture(found[i], spec.canvas, spec.drawing) for i in chosen)
    return np.stack([whole_picture(picture, spec) for picture in pictures])


def _same_answers(
    answers: np.ndarray, truth: np.ndarray, several: LabelCalibration | None
) -> float:
    """The share of pictures with the same class, or the same labels, by both probabilities."""
    if several:
        return float((several.named(answers) == several.named(truth)).all(axis=1).mean())
    return float((answers.argmax(axis=1) == truth.argmax(axis=1)).mean())


def _timed(network: Network, pictures: np.ndarray, facts: ModelFacts) -> tuple[np.ndarray, float]:
    """(probabilities float (n, C), pictures per second by the fastest of several passes)."""
    best, started, passes = float("inf"), time.monotonic(), 0
    while passes < 2 or time.monotonic() - started < LEAST_SECONDS:
        before = time.perf_counter()
        logits = [network.logits(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
        best, passes = min(best, time.perf_counter() - before), passes + 1
    return facts.probabilities(np.concatenate(logits)), len(pictures) / best


def _megabytes(path: Path) -> str:
    files = path.rglob("*") if path.is_dir() else [path]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f}"
