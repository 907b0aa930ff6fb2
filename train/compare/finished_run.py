"""What a finished run's folder tells: predictions, figures, and how large and fast its model is."""

import csv
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.recordings import by_recording, recording_of
from train.models import model_file

BATCH = 32


@dataclass(frozen=True)
class FinishedRun:
    """A run that can be compared.

    options: of its config.yaml; part: {path: "test" or the fold that held it out}; groups: {path:
    its group}; of the tested examples, sorted by path: paths str (n,), labels int64 (n,),
    probabilities float (n, C). validation: mean accuracy of the folds; seconds: of the training;
    images_per_second: of the model on this machine, None if it was not measured.
    """

    name: str
    backbone: str
    classes: tuple[str, ...]
    options: dict[str, Any]
    part: dict[str, str]
    groups: dict[str, str]
    paths: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    validation: float
    parameters: int
    megabytes: float
    seconds: float
    images_per_second: float | None

    @property
    def right(self) -> np.ndarray:
        """Whether each tested example was classified correctly, bool (n,)."""
        correct: np.ndarray = self.probabilities.argmax(axis=1) == self.labels
        return correct


def read_run(folder: str | Path, *, measure: bool) -> FinishedRun:
    """The run in `folder`; ValueError that says what is missing if it is not a finished one."""
    folder = Path(folder).resolve()
    files = [folder / name for name in ("predictions.csv", "metrics.json", "model.pth")]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(f"{folder} is no finished run: it has no {', '.join(missing)}")
    model, facts = model_file.load(files[2])
    facts.need_one_label(f"{folder}: runs are compared by answers of one class")
    classes = facts.classes
    part, groups, tested = _predictions(files[0], classes)
    metrics = json.loads(files[1].read_text(encoding="utf-8"))
    if facts.is_table:
        batch = torch.zeros(BATCH, len(facts.columns))
    else:
        shape = (BATCH, 3, facts.image.height, facts.image.width)
        batch = torch.randint(0, 256, shape, dtype=torch.uint8)
        batch = batch.contiguous(memory_format=torch.channels_last)
    return FinishedRun(
        name=folder.name,
        backbone=facts.backbone,
        classes=classes,
        options=facts.config,
        part=part,
        groups=groups,
        paths=np.array([path for path, _, _ in tested]),
        labels=np.array([label for _, label, _ in tested]),
        probabilities=np.array([row for _, _, row in tested]),
        validation=metrics["cross_validation"]["accuracy_mean"],
        parameters=sum(p.numel() for p in model.parameters()),
        megabytes=files[2].stat().st_size / 1e6,
        seconds=metrics["seconds"],
        images_per_second=_speed(model, batch) if measure else None,
    )


def whole_recordings(run: FinishedRun) -> FinishedRun:
    """The run with whole recordings in place of their clips: the mean of their probabilities.

    A recording is what the names of its pictures, and its row in a table, have in common.
    """
    part = {recording_of(path): value for path, value in run.part.items()}
    groups = {recording_of(path): group for path, group in run.groups.items()}
    names = np.array([recording_of(path) for path in run.paths])
    probabilities, labels, paths = by_recording(run.probabilities, run.labels, names, names)
    return replace(
        run, part=part, groups=groups, paths=paths, labels=labels, probabilities=probabilities
    )


def _predictions(
    file: Path, classes: tuple[str, ...]
) -> tuple[dict[str, str], dict[str, str], list[tuple[str, int, list[float]]]]:
    """(parts, groups, (path, label, probabilities) of the tested examples sorted by path)."""
    number = {name: i for i, name in enumerate(classes)}
    part, groups, tested = {}, {}, []
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.reader(lines)
        header = next(rows, [])
        if tuple(header[-len(classes) :]) != classes or not {"path", "group"} <= set(header):
            raise ValueError(f"{file} is not of the model.pth beside it: other classes")
        at = {name: header.index(name) for name in ("path", "label", "group", "split")}
        for row in rows:
            path = row[at["path"]]
            part[path], groups[path] = row[at["split"]], row[at["group"]]
            if part[path] == "test":
                shares = [float(cell) for cell in row[-len(classes) :]]
                tested.append((path, number[row[at["label"]]], shares))
    return part, groups, sorted(tested)


@torch.inference_mode()
def _speed(model: torch.nn.Module, batch: torch.Tensor) -> float:
    """Examples per second in batches like this one, the best of what 1 s allows."""
    model(batch)
    took: list[float] = []
    end = time.perf_counter() + 1
    while not took or time.perf_counter() < end:
        start = time.perf_counter()
        model(batch)
        took.append(time.perf_counter() - start)
    return len(batch) / min(took)
