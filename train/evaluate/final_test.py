"""After the folds: make the model that is shipped and test it once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from common.files import write_csv, write_records
from common.recordings import by_recording
from data.examples import label_names, majority_of
from train.evaluate.answers import Answers, answers_of
from train.evaluate.calibration import (
    LabelCalibration,
    fit_labels,
    fit_temperature,
    probabilities_of,
)
from train.evaluate.metrics import Scores, score
from train.evaluate.precision_recall import ClassCurve, class_curves
from train.evaluate.results import CrossValidation, Results
from train.loop.state import Progress
from train.loop.train_step import Loss
from train.loop.trainer import Trainer
from train.models.ensemble import ensemble_of

if TYPE_CHECKING:
    from data.examples import Examples
    from data.prepare import Prepared


@dataclass(frozen=True)
class HeldOut:
    """A part that was not trained on: "test" or a fold's number, and what was answered there.

    positions: int (n,) among the examples; probabilities float (n, C).
    """

    part: str
    positions: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class FinalTest:
    """The shipped model and what its one test gave.

    folds: what each fold held out, by its own model; test: the test part, by the shipped one;
    answers: the same before calibration; curves: of folds and test together.
    """

    model: Any
    results: Results
    folds: list[HeldOut]
    test: HeldOut
    answers: Answers
    curves: list[ClassCurve]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """The model's tensors, in the computer's own memory."""
        return {name: tensor.cpu() for name, tensor in self.model.state_dict().items()}


def run_final_test(trainer: Trainer, finished: list[Progress], ready: "Prepared") -> FinalTest:
    """Make the model that is shipped, by `trainer.config.final`, and test it, once.

    finished: the progress of every fold, and of the refit if there was one.
    """
    folds, test, examples = ready.split.folds, ready.split.test, ready.examples
    tried = finished[: len(folds)]
    # On what all folds held out: one fold's own pictures flatter it.
    logits = np.concatenate([_logits(progress) for progress in tried])
    held = np.concatenate([validation for _, validation in folds])
    temperature, several = 1.0, None
    if examples.several_labels:
        several = fit_labels(logits, examples.labels[held], examples.recordings[held])
    else:
        temperature = fit_temperature(logits, examples.labels[held])
    model, about = shipped(trainer, finished, len(folds), temperature)
    answers = answers_of(
        model, lambda at: trainer.batches(test[at]), len(test), trainer.fabric.device
    )
    tested = HeldOut("test", test, probabilities_of(answers.logits, temperature, several))
    held_out = [
        HeldOut(str(k), validation, probabilities_of(_logits(progress), temperature, several))
        for k, (progress, (_, validation)) in enumerate(zip(tried, folds, strict=True), start=1)
    ]
    results, curves = _figures(tested, held_out, ready, several)
    results = replace(
        results,
        cross_validation=cross_validation(tried, folds, examples.labels),
        final=about,
        temperature=temperature,
        several=several,
    )
    return FinalTest(model, results, held_out, tested, answers, curves)


def _figures(
    tested: HeldOut, folds: list[HeldOut], ready: "Prepared", several: LabelCalibration | None
) -> tuple[Results, list[ClassCurve]]:
    """The scores of the test, of the folds and of both together, and the curves of the latter."""
    examples, everything = ready.examples, merged([*folds, tested])
    majority = majority_of(examples.labels[ready.split.development])
    test, validation, together = (
        scores_of(part, examples, majority, several) for part in (tested, merged(folds), everything)
    )
    whole_recordings = test[1] is not None
    results = Results(
        test=test[0],
        temperature=1.0,
        test_recordings=test[1],
        validation=validation[1] if whole_recordings else validation[0],
        held_out=together[0],
        held_out_recordings=together[1] if whole_recordings else None,
    )
    return results, curves_of(everything, examples, whole_recordings=whole_recordings)


def merged(parts: Sequence[HeldOut]) -> HeldOut:
    """All parts as one: each example once, with the mean of its probabilities."""
    everywhere = np.concatenate([part.positions for part in parts])
    positions, index = np.unique(everywhere, return_inverse=True)
    total = np.zeros((len(positions), parts[0].probabilities.shape[1]))
    np.add.at(total, index, np.concatenate([part.probabilities for part in parts]))
    return HeldOut("all", positions, total / np.bincount(index)[:, None])


def scores_of(
    held_out: HeldOut,
    examples: "Examples",
    majority: int | np.ndarray,
    several: LabelCalibration | None = None,
) -> tuple[Scores, Scores | None]:
    """Scores by example, and by recording where some recordings have several examples.

    majority: the largest class of training, or its commonest labels (C,) for a model of `several`.
    """
    scored = partial(score, classes=examples.classes, majority=majority, several=several)
    at = held_out.positions
    labels, groups, recordings = (
        column[at] for column in (examples.labels, examples.groups, examples.recordings)
    )
    alone = scored(held_out.probabilities, labels, groups)
    if len(np.unique(recordings)) == len(at):
        return alone, None
    averaged = by_recording(held_out.probabilities, labels, recordings, groups)
    return alone, scored(*averaged)


def curves_of(
    held_out: HeldOut, examples: "Examples", *, whole_recordings: bool
) -> list[ClassCurve]:
    """Precision and recall of each class, by recording or by example."""
    at, probabilities = held_out.positions, held_out.probabilities
    labels = examples.labels[at]
    if whole_recordings:
        groups, recordings = examples.groups[at], examples.recordings[at]
        probabilities, labels, _ = by_recording(probabilities, labels, recordings, groups)
    return class_curves(probabilities, labels, examples.classes)


def shipped(
    trainer: Trainer, finished: list[Progress], n_folds: int, temperature: float
) -> tuple[Any, str]:
    """(the model that is shipped, on the trainer's device; what it is in words)."""
    if trainer.config.final == "ensemble":
        members = [progress.best_weights for progress in finished[:n_folds]]
        model = ensemble_of(trainer.model.cpu(), members, temperature)
        about = f"the mean of the answers of {n_folds} folds' models"
        return model.to(trainer.fabric.device), about
    weights, about = final_weights(finished, n_folds, trainer.config.final)
    trainer.model.load_state_dict(weights)
    return trainer.model.to(trainer.fabric.device), about


def final_weights(
    finished: list[Progress], n_folds: int, final: str
) -> tuple[dict[str, torch.Tensor], str]:
    """(the weights that are shipped, what they are in words).

    "refit": of the training on everything but the test, the last in `finished`; "best": of the fold
    with the lowest validation loss; "soup": the mean over the folds (Wortsman et al., "Model
    soups", ICML 2022).
    """
    if final == "refit":
        return finished[n_folds].best_weights, "trained again on all folds together"
    members = [progress.best_weights for progress in finished[:n_folds]]
    if final == "soup":
        return mean_weights(members), f"the mean of the weights of {n_folds} folds"
    best = int(np.argmin([progress.best_loss for progress in finished[:n_folds]]))
    return members[best], f"fold {best + 1}'s"


def mean_weights(members: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of every float tensor; counters are the first member's."""
    return {
        name: torch.stack([one[name] for one in members]).mean(dim=0)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in members[0].items()
    }


def _logits(progress: Progress) -> np.ndarray:
    if progress.best_logits is None:
        raise ValueError("a fold ended without a single epoch; raise --epochs or --head-epochs")
    return progress.best_logits.numpy()


def cross_validation(
    finished: list[Progress], folds: list[tuple[np.ndarray, np.ndarray]], labels: np.ndarray
) -> CrossValidation:
    """Accuracy and loss of every fold."""
    loss = Loss(several=labels.ndim == 2)
    return CrossValidation(
        accuracy=[
            loss.accuracy(_logits(progress), labels[validation])
            for progress, (_, validation) in zip(finished, folds, strict=True)
        ],
        loss=[progress.best_loss for progress in finished],
    )


def write_predictions(
    file: Path,
    held_out: Sequence[HeldOut],
    examples: "Examples",
    several: LabelCalibration | None = None,
) -> None:
    """Write one row per held-out example: path, label, group, split, predicted, probabilities.

    several: how a model that gives several labels does; they are written as `jazz;rock`.
    """
    rows, labels = [], examples.label_names()
    for part in held_out:
        shares = part.probabilities
        chosen = several.named(shares) if several else np.argmax(shares, axis=1)
        predicted = label_names(chosen, examples.classes)
        for i, said, row in zip(part.positions, predicted, shares, strict=True):
            named = [examples.paths[i], labels[i], examples.groups[i], part.part, said]
            rows.append(named + [f"{p:.6f}" for p in row])
    write_csv(file, ["path", "label", "group", "split", "predicted", *examples.classes], rows)


def write_history(file: Path, finished: list[Progress]) -> None:
    """Write one row per epoch of every fold, and of the refit: phase, rate, losses, accuracy."""
    rows = [{"fold": k} | row.to_dict() for k, p in enumerate(finished, 1) for row in p.history]
    write_records(file, list(rows[0]), rows)
