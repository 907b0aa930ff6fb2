"""What a finished run's folder tells: predictions, figures, and how large and fast its model is."""

import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.files import probabilities_in, read_rows
from common.recordings import by_recording, recording_of
from train.compare.run_split import COLUMNS, FILES, RunSplit, read_run_split
from train.models import model_file

BATCH = 32


@dataclass(frozen=True)
class FinishedRun:
    """A run that can be compared.

    options: of its config.yaml; of the tested examples, sorted by path: paths str (n,), labels
    int64 (n,), probabilities float (n, C). validation: mean accuracy of the folds; seconds: of the
    training; images_per_second: of the model on this machine, None if it was not measured.
    """

    split: RunSplit
    backbone: str
    classes: tuple[str, ...]
    options: dict[str, Any]
    paths: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    validation: float
    parameters: int
    megabytes: float
    seconds: float
    images_per_second: float | None

    @property
    def name(self) -> str:
        """That of its folder."""
        return self.split.name

    @property
    def tested_groups(self) -> np.ndarray:
        """The group of each tested example, str (n,)."""
        return np.array([self.split.groups[path] for path in self.paths])

    @property
    def right(self) -> np.ndarray:
        """Whether each tested example was classified correctly, bool (n,)."""
        correct: np.ndarray = self.probabilities.argmax(axis=1) == self.labels
        return correct


def read_run(folder: str | Path, *, measure: bool) -> FinishedRun:
    """The run in `folder`; ValueError that says what is missing if it is not a finished one."""
    folder = Path(folder).resolve()
    split = read_run_split(folder)
    predictions, figures, weights = (folder / name for name in FILES)
    model, facts = model_file.load(weights)
    facts.need_one_label(f"{folder}: runs are compared by answers of one class")
    classes = facts.classes
    tested = _tested(predictions, classes)
    validation, seconds = _figures(figures)
    if facts.is_table:
        batch = torch.zeros(BATCH, len(facts.columns))
    else:
        shape = (BATCH, 3, facts.image.height, facts.image.width)
        batch = torch.randint(0, 256, shape, dtype=torch.uint8)
        batch = batch.contiguous(memory_format=torch.channels_last)
    return FinishedRun(
        split=split,
        backbone=facts.backbone,
        classes=classes,
        options=facts.config,
        paths=np.array([path for path, _, _ in tested]),
        labels=np.array([label for _, label, _ in tested]),
        probabilities=np.array([row for _, _, row in tested]),
        validation=validation,
        parameters=sum(p.numel() for p in model.parameters()),
        megabytes=weights.stat().st_size / 1e6,
        seconds=seconds,
        images_per_second=_speed(model, batch) if measure else None,
    )


def whole_recordings(run: FinishedRun) -> FinishedRun:
    """The run with whole recordings in place of their clips: the mean of their probabilities."""
    names = np.array([recording_of(path) for path in run.paths])
    probabilities, labels, paths = by_recording(run.probabilities, run.labels, names, names)
    return replace(
        run,
        split=run.split.of_recordings(),
        paths=paths,
        labels=labels,
        probabilities=probabilities,
    )


def _tested(file: Path, classes: tuple[str, ...]) -> list[tuple[str, int, list[float]]]:
    """(path, label, probabilities) of each tested example, sorted by path."""
    number = {name: i for i, name in enumerate(classes)}
    tested = []
    header, rows = read_rows(file)
    if tuple(header[len(COLUMNS) :]) != classes or any(row[1] not in number for row in rows):
        raise ValueError(f"{file} is not of the model.pth beside it: other classes")
    for path, label, _, part, _, *cells in rows:
        if part == "test":
            tested.append((path, number[label], probabilities_in(cells, file)))
    if len({path for path, _, _ in tested}) < len(tested):
        raise ValueError(f"{file}: an example is tested twice")
    return sorted(tested)


def _figures(file: Path) -> tuple[float, float]:
    """(validation accuracy, seconds of training) of metrics.json; ValueError if it has none."""
    try:
        metrics = json.loads(file.read_text(encoding="utf-8"))
        found = metrics["cross_validation"]["accuracy_mean"], metrics["seconds"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None, None
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in found):
        raise ValueError(f"{file} is no metrics.json of a finished run")
    return found


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
