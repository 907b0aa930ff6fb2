"""After the folds: choose, test once, and write down everything that a reader needs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.files import write_csv, write_text
from train.evaluate.calibration import probabilities_of
from train.evaluate.metrics import by_recording, fit_temperature, score
from train.loop.cross_validation import Trainer, positions_in
from train.loop.fit import Progress
from train.models.ensemble import ensemble_of
from train.report.caveats import unit_of
from train.report.gallery import Answers, answers_of


@dataclass(frozen=True)
class Examples:
    """What the outcome says of each example, in the order of the pictures.

    paths, groups, recordings: str (n,); labels int64 (n,) into classes.
    """

    classes: tuple[str, ...]
    paths: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    recordings: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """The shipped model, its temperature, every figure, and the probabilities behind them.

    held_out: (fold or "test", positions, probabilities (n, C)) of each part not trained on;
    answers: the test's, before calibration.
    """

    model: Any
    temperature: float
    metrics: dict[str, Any]
    held_out: list[tuple[str, np.ndarray, np.ndarray]]
    answers: Answers

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """The model's tensors, in the computer's own memory."""
        return {name: tensor.cpu() for name, tensor in self.model.state_dict().items()}


def conclude(
    trainer: Trainer,
    finished: list[Progress],
    folds: list[tuple[np.ndarray, np.ndarray]],
    test: np.ndarray,
    examples: Examples,
) -> Outcome:
    """Make the model that is shipped, by `trainer.config.final`, and test it, once.

    finished: the progress of every fold, and of the refit if there was one.
    """
    labels, n_folds = examples.labels, len(folds)
    tried = finished[:n_folds]
    # On what all folds held out: one fold's own pictures flatter it.
    temperature = fit_temperature(
        np.concatenate([_logits(progress) for progress in tried]),
        np.concatenate([labels[validation] for _, validation in folds]),
    )
    model, about = shipped(trainer, finished, n_folds, temperature)
    answers = answers_of(
        model, lambda at: trainer.batches(test[at]), len(test), trainer.fabric.device
    )
    test_probabilities = probabilities_of(answers.logits, temperature)
    held_out = [
        (str(k), folds[k - 1][1], probabilities_of(_logits(progress), temperature))
        for k, progress in enumerate(tried, start=1)
    ]
    development = positions_in(folds)
    majority = int(np.bincount(labels[development]).argmax())
    keywords: dict[str, Any] = {"classes": examples.classes, "majority": majority}
    metrics = {
        "test": score(test_probabilities, labels[test], examples.groups[test], **keywords),
        "cross_validation": cross_validation_figures(tried, folds, labels),
        "final": about,
        "temperature": temperature,
    }
    if len(np.unique(examples.recordings[test])) < len(test):
        songs = by_recording(
            test_probabilities, labels[test], examples.recordings[test], examples.groups[test]
        )
        metrics["test_recordings"] = score(*songs, **keywords)
    held_out.append(("test", test, test_probabilities))
    return Outcome(model, temperature, metrics, held_out, answers)


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


def cross_validation_figures(
    finished: list[Progress], folds: list[tuple[np.ndarray, np.ndarray]], labels: np.ndarray
) -> dict[str, Any]:
    """Validation accuracy and loss of every fold at its best epoch, with mean and deviation.

    Each best epoch was chosen on these same examples: expect the test to be a little lower.
    """
    accuracy = [
        float((_logits(progress).argmax(axis=1) == labels[validation]).mean())
        for progress, (_, validation) in zip(finished, folds, strict=True)
    ]
    return {
        "accuracy": accuracy,
        "accuracy_mean": float(np.mean(accuracy)),
        "accuracy_std": float(np.std(accuracy, ddof=1)) if len(accuracy) > 1 else 0.0,
        "loss": [progress.best_loss for progress in finished],
    }


def write_predictions(file: Path, outcome: Outcome, examples: Examples) -> None:
    """Write one row per held-out example: path, label, group, split, predicted, probabilities."""
    rows = []
    for part, positions, probabilities in outcome.held_out:
        for i, row in zip(positions, probabilities, strict=True):
            label, predicted = examples.classes[examples.labels[i]], examples.classes[row.argmax()]
            named = [examples.paths[i], label, examples.groups[i], part, predicted]
            rows.append(named + [f"{p:.6f}" for p in row])
    write_csv(file, ["path", "label", "group", "split", "predicted", *examples.classes], rows)


def write_history(file: Path, finished: list[Progress]) -> None:
    """Write one row per epoch of every fold, and of the refit: phase, rate, losses, accuracy."""
    rows = [{"fold": k} | row for k, p in enumerate(finished, 1) for row in p.history]
    write_csv(file, rows[0], [[row.get(key, "") for key in rows[0]] for row in rows])


def write_json(file: Path, facts: dict[str, Any]) -> None:
    """Write facts as readable JSON, one whole file."""
    write_text(file, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def summary_lines(metrics: dict[str, Any]) -> list[str]:
    """The answer in a few lines: the test accuracy with its interval, the baseline, the folds."""
    test = metrics["test"]
    low, high = test["accuracy_interval_95"]
    lines = [
        f"test accuracy {test['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) on "
        f"{test['n']} {unit_of(metrics)}s of {test['n_groups']} groups",
        f"always answering {test['majority_class']} would have {test['majority_baseline']:.3f}; "
        f"macro F1 {test['macro_f1']:.3f}",
    ]
    if "top5_accuracy" in test:
        lines.append(f"top-5 accuracy {test['top5_accuracy']:.3f}")
    if songs := metrics.get("test_recordings"):
        low, high = songs["accuracy_interval_95"]
        lines.append(
            f"by recording {songs['accuracy']:.3f} ({low:.3f} to {high:.3f}), "
            f"clips averaged, {songs['n']} recordings"
        )
    folds = metrics["cross_validation"]
    lines.append(
        f"validation accuracy {folds['accuracy_mean']:.3f} ± {folds['accuracy_std']:.3f} over "
        f"{len(folds['accuracy'])} folds; the model is {metrics['final']}"
    )
    return lines
