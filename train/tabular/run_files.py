"""Every file that a finished run on a table leaves in its folder: those of a run on pictures."""

import shutil
import time
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import torch
from matplotlib import colormaps

from train.evaluate.final_test import (
    Examples,
    Outcome,
    conclude,
    summary_lines,
    write_history,
    write_json,
    write_predictions,
)
from train.export.onnx import program_of
from train.loop.cross_validation import Trainer
from train.loop.fit import Progress
from train.models import model_file, onnx_file
from train.models.facts import ModelFacts
from train.report.gallery import Tested
from train.report.model_card import write_card
from train.report.page import write_report
from train.tabular.models import Baseline

STRIP = (240, 40)  # width, height of the picture of a row in the report


def finish_table(
    trainer: Trainer,
    finished: list[Progress],
    folds: list[tuple[np.ndarray, np.ndarray]],
    test: np.ndarray,
    examples: Examples,
    facts: dict[str, Any],
) -> list[str]:
    """Test the shipped model once and write the run's files; returns the answer in a few lines.

    facts: as for `finish.finish`; its inputs are the names of the columns.
    """
    run = trainer.run
    outcome = conclude(trainer, finished, folds, test, examples)
    trainer = replace(trainer, model=outcome.model)
    seconds = round(time.monotonic() - facts["started"], 1)
    metrics = outcome.metrics | {"unit": "row", "seconds": seconds}
    model_facts = ModelFacts(
        backbone=facts["backbone"],
        pooling="table",
        classes=examples.classes,
        inputs=facts["inputs"],
        temperature=outcome.temperature,
        render=facts["render"],
        config=facts["config"],
        metrics=metrics,
        revision=model_file.revision(),
    )
    model_file.save(run / "model.pth", outcome.weights, model_facts)
    write_json(run / "metrics.json", metrics)
    write_predictions(run / "predictions.csv", outcome, examples)
    write_history(run / "history.csv", finished)
    page = facts | {"model": model_facts, "metrics": metrics, "summary": summary_lines(metrics)}
    page |= {"seconds": seconds, "distance": []}
    write_report(run, page, finished[: len(folds)], _tested(trainer, outcome, examples))
    write_card(run, page)
    program = _program(trainer, len(model_facts.columns))
    onnx_file.save(run / "model.onnx", program, model_facts)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return page["summary"]


def _tested(trainer: Trainer, outcome: Outcome, examples: Examples) -> Tested:
    """The tested rows; as its picture, each shows its values as a strip of colours."""
    _, test, probabilities = outcome.held_out[-1]
    positions = np.arange(len(examples.paths))
    everything = np.concatenate([rows.numpy() for rows, _ in trainer.batches(positions)])
    middle, spread = np.nanmean(everything, axis=0), np.nanstd(everything, axis=0)

    def pictures(positions: np.ndarray) -> np.ndarray:
        z = (everything[test[positions]] - middle) / np.maximum(spread, 1e-12)
        levels = np.nan_to_num(z / 6 + 0.5).clip(0, 1)  # three deviations either way
        strips = (255 * colormaps["magma"](levels)[..., :3]).astype(np.uint8)  # (k, F, 3)
        return np.repeat(strips[:, None], STRIP[1], axis=1)

    def heat(positions: np.ndarray, class_indices: np.ndarray) -> np.ndarray:
        raise ValueError("a table has no places to look at")

    return Tested(
        examples.classes, examples.paths[test], examples.labels[test], probabilities,
        outcome.answers.embedded, outcome.answers.embeddings, pictures, heat, STRIP,
    )  # fmt: skip


def _program(trainer: Trainer, n_columns: int) -> onnx.ModelProto:
    """The model as ONNX: input float32 (B, F)."""
    model = trainer.model.eval().cpu()
    if isinstance(model, Baseline):
        return onnx.load_from_string(model.program.numpy().tobytes())
    return program_of(model, torch.zeros(2, n_columns), "rows")
