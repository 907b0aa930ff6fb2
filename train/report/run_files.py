"""Every file that a finished run leaves in its folder."""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lightning_fabric import Fabric

from common.files import write_text
from common.progress import stage
from data.config import DataConfig
from data.prepare import Prepared
from train.config import TrainConfig
from train.evaluate.final_test import (
    FinalTest,
    run_final_test,
    write_history,
    write_predictions,
)
from train.evaluate.frozen_features import FrozenFeatures
from train.evaluate.precision_recall import ClassCurve
from train.evaluate.results import Results
from train.loop.state import Log, Progress
from train.loop.trainer import Trainer
from train.models import model_file, onnx_file
from train.models.facts import DomainReference, ModelFacts, Novelty
from train.report.corrections import what_changed
from train.report.gallery import Answered
from train.report.model_card import write_card
from train.report.page import write_report
from train.report.run_report import EvaluationProtocol, RunReport
from train.run_folder import RunSettings
from train.unused_options import Plan

if TYPE_CHECKING:
    import onnx


class Training(Protocol):
    """A network and what it is trained on, pictures or rows of a table."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def setting(self) -> str:
        """Network, weights and device in one line."""
        ...

    @property
    def unit(self) -> str:
        """What one example is: a picture, or a row."""
        ...

    @property
    def fabric(self) -> Fabric:
        """Device and precision."""
        ...

    @property
    def config(self) -> TrainConfig:
        """The options, with all that the machine and the weights decide."""
        ...

    @property
    def ready(self) -> Prepared:
        """The examples, split."""
        ...

    def plan(self, data_config: DataConfig, *, songs: bool) -> Plan:
        """What is going to be done; songs: whether the pictures are drawn from recordings now."""
        ...

    def noting(self, notes: list[str]) -> "Training":
        """The same with these notes before the others."""
        ...

    def trainer(self, folder: Path, log: Log) -> Trainer:
        """A trainer that keeps its checkpoints in the folder of the run."""
        ...

    def fit(self, trainer: Trainer) -> list[Progress]:
        """The progress of every fold, and last that of the refit where config.final asks so."""
        ...

    def tested(self, trainer: Trainer, final: FinalTest) -> Answered:
        """The tested examples, to be looked at; the trainer's model is the shipped one."""
        ...

    def novelty(self, trainer: Trainer) -> Novelty | None:
        """What single inputs of another kind are recognised by, if they are."""
        ...

    def domain(self, trainer: Trainer) -> DomainReference | None:
        """What the distance of many inputs is measured against, if it is."""
        ...

    def frozen(self, trainer: Trainer) -> FrozenFeatures | None:
        """The frozen features of the training part, if the last layer was trained on such."""
        ...

    def program(self, model: Any) -> "onnx.ModelProto":
        """The model as an ONNX program."""
        ...


def write_run(
    training: Training,
    trainer: Trainer,
    finished: list[Progress],
    settings: RunSettings,
    started: float,
) -> Results:
    """Test the shipped model once and write the run's files; returns the figures.

    started: the time.monotonic() at which the run began.
    """
    folder, ready = trainer.run, training.ready
    with stage("testing"):
        final = run_final_test(trainer, finished, ready)
    trainer = replace(trainer, model=final.model)
    results = replace(final.results, unit=training.unit).after(time.monotonic() - started)
    facts = _model_facts(training, trainer, results, settings)
    model_file.save(folder / "model.pth", final.weights, facts)
    write_text(folder / "metrics.json", results.to_json())
    write_predictions(
        folder / "predictions.csv", [*final.folds, final.test], ready.examples, results.several
    )
    write_history(folder / "history.csv", finished)
    notes = list(ready.notes)
    if table := settings.options.get("corrections"):
        notes.insert(0, what_changed(Path(table), folder / "predictions.csv"))
        print(notes[0])
    report = _report(training, results, settings, final.curves, training.frozen(trainer))
    report = replace(report, notes=notes)
    with stage("writing the report"):
        write_report(
            folder, report, finished[: len(ready.split.folds)], training.tested(trainer, final)
        )
        write_card(folder, report, facts)
    with stage("writing model.onnx"):
        onnx_file.save(folder / "model.onnx", training.program(final.model), facts)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return results


def _report(
    training: Training,
    results: Results,
    settings: RunSettings,
    curves: list[ClassCurve],
    frozen: FrozenFeatures | None,
) -> RunReport:
    """What report.html and model_card.md say."""
    ready = training.ready
    return RunReport(
        title=settings.title,
        setting=training.setting,
        results=results,
        protocol=EvaluationProtocol.of_run(settings.options),
        counts=ready.class_counts,
        notes=ready.notes,
        audit=ready.audit,
        data=str(settings.options.get("data", "")),
        command=settings.command,
        curves=curves,
        frozen=frozen,
        options=settings.text,
    )


def _model_facts(
    training: Training, trainer: Trainer, results: Results, settings: RunSettings
) -> ModelFacts:
    """What model.pth and model.onnx tell beside the weights."""
    return ModelFacts(
        backbone=training.name,
        pooling=trainer.model.pooling,
        classes=training.ready.examples.classes,
        inputs=training.ready.inputs,
        temperature=results.temperature,
        several=results.several,
        render=settings.render,
        config=settings.options,
        metrics=results.to_dict(matrices=False),
        novelty=training.novelty(trainer),
        domain=training.domain(trainer),
        revision=model_file.revision(),
    )
