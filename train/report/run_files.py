"""Every file that a finished run leaves in its folder."""

import shutil
import time
from dataclasses import replace
from typing import Any

import numpy as np

from train.evaluate.domain_shift import reference_of
from train.evaluate.final_test import (
    Examples,
    Outcome,
    conclude,
    summary_lines,
    write_history,
    write_json,
    write_predictions,
)
from train.evaluate.novelty import describe_batches
from train.export.onnx import picture_program
from train.loop.cross_validation import Trainer, positions_in
from train.loop.fit import Progress
from train.loop.head import embeddings_of
from train.loop.inference import apply
from train.models import model_file, onnx_file
from train.models.facts import DomainReference, ModelFacts
from train.report.gallery import Tested, look_at
from train.report.model_card import write_card
from train.report.page import write_report

MOST_COMPARED = 400


def finish(
    trainer: Trainer,
    finished: list[Progress],
    folds: list[tuple[np.ndarray, np.ndarray]],
    test: np.ndarray,
    examples: Examples,
    facts: dict[str, Any],
) -> list[str]:
    """Test the best model once and write the run's files; returns the answer in a few lines.

    facts: title, backbone, inputs (of the model file), render, config (dict), and of the report
    first_line, notes, counts, audit, config_text, command and started (a monotonic time).
    """
    run = trainer.run
    outcome = conclude(trainer, finished, folds, test, examples)
    trainer = replace(trainer, model=outcome.model)
    metrics = outcome.metrics | {"seconds": round(time.monotonic() - facts["started"], 1)}
    development = positions_in(folds)
    tested = _tested(trainer, outcome, examples, facts["inputs"].canvas)
    model_facts = ModelFacts(
        backbone=facts["backbone"],
        pooling=trainer.model.pooling,
        classes=examples.classes,
        inputs=facts["inputs"],
        temperature=outcome.temperature,
        render=facts["render"],
        config=facts["config"],
        metrics=metrics,
        novelty=describe_batches(trainer.batches(development), examples.groups[development]),
        domain=_reference(trainer, development, examples.groups, facts["audit"]),
        revision=model_file.revision(),
    )
    model_file.save(run / "model.pth", outcome.weights, model_facts)
    write_json(run / "metrics.json", metrics)
    write_predictions(run / "predictions.csv", outcome, examples)
    write_history(run / "history.csv", finished)
    page = facts | {"model": model_facts, "metrics": metrics, "summary": summary_lines(metrics)}
    page |= {"seconds": metrics["seconds"], "distance": []}
    write_report(run, page, finished[: len(folds)], tested)
    write_card(run, page)
    program = picture_program(trainer.model, model_facts.image)
    onnx_file.save(run / "model.onnx", program, model_facts)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return page["summary"]


def _reference(
    trainer: Trainer, development: np.ndarray, groups: np.ndarray, audit: dict[str, Any] | None
) -> DomainReference | None:
    """What later pictures are compared with: some of all folds', by the model that is shipped."""
    some = np.sort(np.random.default_rng(0).permutation(development)[:MOST_COMPARED])
    if trainer.config.finetune == "none":  # the backbone is as it was: they are known
        embeddings = embeddings_of(trainer, development)[some].astype(np.float32)
    else:
        model = trainer.model.eval()
        embeddings = apply(model.features, trainer.batches(some), trainer.fabric.device)
    return reference_of(embeddings, groups[some], (audit or {}).get("colour_map"))


def _tested(
    trainer: Trainer, outcome: Outcome, examples: Examples, shape: tuple[int, int]
) -> Tested:
    _, test, probabilities = outcome.held_out[-1]
    about = {
        "classes": examples.classes, "paths": examples.paths[test],
        "labels": examples.labels[test], "probabilities": probabilities,
    }  # fmt: skip
    return look_at(
        trainer.model, about, outcome.answers, lambda at: trainer.batches(test[at]),
        trainer.fabric.device, shape,
    )  # fmt: skip
