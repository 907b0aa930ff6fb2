"""A model file tested on any labelled folder of pictures: report, metrics.json, predictions.csv."""

import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.files import write_text
from data.audit.audit import audit
from data.audit.report import AuditReport
from data.examples import Examples, majority_of
from data.image_folder import scan
from data.images.loader import Pictures
from data.images.picture_array import PictureArray
from data.summary import count_classes
from train.evaluate.answers import answers_of
from train.evaluate.final_test import HeldOut, curves_of, scores_of, write_predictions
from train.evaluate.results import Results
from train.evaluate.shift_report import shift_lines
from train.models import model_file
from train.models.facts import ModelFacts
from train.report.caveats import in_several
from train.report.gallery import Answered, heat_of, pictures_of
from train.report.page import write_report
from train.report.run_report import EvaluationProtocol, RunReport


@dataclass(frozen=True)
class FolderTest:
    """What a model's test on a folder gave; left_out: why classes and pictures were left out."""

    results: Results
    left_out: list[str]


def evaluate_folder(
    model: Path, folder: Path, out: Path, *, group: str, batch_size: int
) -> FolderTest:
    """Test the model file on the folder and write the report and its files into `out`.

    group: the column of clips.csv that tells which pictures belong together.
    """
    started = time.monotonic()
    network, facts = model_file.load(model)
    known, unknown = of_known_classes(_labelled_as(facts, scan(folder, group)), facts.classes)
    found = audit(known)
    left_out = unknown + found.failures
    examples = found.examples
    tested = look(network, facts, examples, batch_size)
    majority = majority_of(tested.labels)
    held_out = HeldOut("test", np.arange(len(examples)), tested.probabilities)
    pictures, recordings = scores_of(held_out, examples, majority, facts.several)
    results = Results(
        test=pictures,
        test_recordings=recordings,
        temperature=facts.temperature,
        several=facts.several,
        domain_shift=shift_lines(network, facts, found, tested),
    ).after(time.monotonic() - started)
    report = RunReport(
        title=f"{folder.resolve().name} by {model.resolve().parent.name}",
        setting=f"{facts.backbone}, model file {model}",
        results=results,
        protocol=_protocol(facts, examples),
        counts=count_classes(examples, np.ones(len(examples), dtype=bool)),
        notes=[f"left out: {reason}" for reason in left_out],
        audit=AuditReport.of(found),
        data=str(folder),
        curves=curves_of(held_out, examples, whole_recordings=recordings is not None),
        command=shlex.join(["python", "-m", "train.evaluate", str(model), str(folder)]),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_report(out, report, [], tested)
    write_text(out / "metrics.json", results.to_json())
    write_predictions(out / "predictions.csv", [held_out], examples, facts.several)
    return FolderTest(results, left_out)


def _labelled_as(facts: ModelFacts, examples: Examples) -> Examples:
    """The examples; ValueError unless they and the model have both one label, or several."""
    if examples.several_labels != bool(facts.several):
        kinds = ("one label", "several labels")
        raise ValueError(
            f"the songs of {examples.root} have {kinds[examples.several_labels]}, and the model "
            f"gives {kinds[bool(facts.several)]}"
        )
    return examples


def of_known_classes(examples: Examples, classes: tuple[str, ...]) -> tuple[Examples, list[str]]:
    """(the examples of classes that the model knows, under its labels; the folders left out).

    Of several labels, those that it does not know are left out.
    """
    label_of = {name: label for label, name in enumerate(classes)}
    unknown = [name for name in examples.classes if name not in label_of]
    if examples.several_labels:
        return _of_known_labels(examples, classes), [
            f"{examples.root}, label {name}: the model has no such class" for name in unknown
        ]
    labels = np.array([label_of.get(name, -1) for name in examples.classes])[examples.labels]
    if (labels < 0).all():
        raise ValueError(
            f"{examples.root} has the classes {', '.join(examples.classes)}, the model knows "
            f"{', '.join(classes)}: none in common"
        )
    known = replace(examples, classes=classes, labels=labels).take(labels >= 0)
    return known, [f"{examples.root}/{name}: the model has no such class" for name in unknown]


def _of_known_labels(examples: Examples, classes: tuple[str, ...]) -> Examples:
    """The examples with the labels (n, C) of a model, without those that have none of them."""
    labels = np.zeros((len(examples), len(classes)), np.float32)
    for label, name in enumerate(classes):
        if name in examples.classes:
            labels[:, label] = examples.labels[:, examples.classes.index(name)]
    known = labels.sum(axis=1) > 0
    if not known.any():
        raise ValueError(f"{examples.root} has none of the model's labels: {', '.join(classes)}")
    return replace(examples, classes=classes, labels=labels).take(known)


def look(model: Any, facts: ModelFacts, examples: Examples, batch_size: int) -> Answered:
    """The examples, whose labels are the model's, with its probabilities."""
    spec = facts.image
    array = PictureArray(examples.root, examples.paths, spec.canvas, drawing=spec.drawing)
    pictures = Pictures(array, examples.labels, spec)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)

    def batches(positions: np.ndarray) -> Any:
        return pictures.batches(positions, batch_size=batch_size)

    answers = answers_of(model, batches, len(examples), device)
    shown = pictures_of(batches)
    return Answered(
        classes=examples.classes,
        paths=examples.paths,
        labels=examples.labels,
        probabilities=facts.probabilities(answers.logits),
        embedded=answers.embedded,
        embeddings=answers.embeddings,
        pictures=shown,
        heat=heat_of(model, shown, device),
        shape=spec.canvas,
        several=facts.several,
    )


def _protocol(facts: ModelFacts, examples: Examples) -> EvaluationProtocol:
    """Whether the model was trained on the folder of the examples, as far as that is known."""
    data = str(facts.config.get("data") or "")
    known = bool(data) and Path(data).resolve() == examples.root.resolve()
    return EvaluationProtocol(trained="on these pictures" if known else "unknown")


def answer_line(results: Results) -> str:
    """The accuracy with its interval and the baseline."""
    main = results.main
    if main.several:
        return in_several(results)
    low, high = main.accuracy_interval_95
    return (
        f"accuracy {main.accuracy:.3f} (95 % interval {low:.3f} to {high:.3f}) on {main.n} "
        f"{results.main_unit} of {main.n_groups} groups; always answering {main.majority_class} "
        f"would have {main.majority_baseline:.3f}"
    )
