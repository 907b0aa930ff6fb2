"""After the folds: choose, test once, and write down everything that a reader needs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.files import write_csv, write_text
from train.folds import Trainer
from train.inference import logits_of
from train.loop import Progress
from train.metrics import by_recording, fit_temperature, probabilities_of, score


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
    """The chosen fold (from 1), its temperature, every figure, and the probabilities behind them.

    held_out: (fold or "test", positions, probabilities (n, C)) of each part not trained on.
    """

    fold: int
    temperature: float
    metrics: dict[str, Any]
    held_out: list[tuple[str, np.ndarray, np.ndarray]]


def conclude(
    trainer: Trainer,
    finished: list[Progress],
    folds: list[tuple[np.ndarray, np.ndarray]],
    test: np.ndarray,
    examples: Examples,
) -> Outcome:
    """Load the best epoch of the best fold into the model and test it, once.

    Best is the lowest validation loss, over the epochs of a fold and then over the folds.
    """
    losses = [progress.best_loss for progress in finished]
    best = int(np.argmin(losses))
    trainer.model.load_state_dict(finished[best].best_weights)
    device = trainer.fabric.device
    trainer.model.to(device)
    labels = examples.labels
    # On what all folds held out: the best fold's own pictures are the ones that flatter it.
    temperature = fit_temperature(
        np.concatenate([_logits(progress) for progress in finished]),
        np.concatenate([labels[validation] for _, validation in folds]),
    )
    test_probabilities = probabilities_of(
        logits_of(trainer.model, trainer.batches(test), device), temperature
    )
    held_out = [
        (str(k), folds[k - 1][1], probabilities_of(_logits(progress), temperature))
        for k, progress in enumerate(finished, start=1)
    ]
    majority = int(np.bincount(labels[folds[best][0]]).argmax())
    keywords: dict[str, Any] = {"classes": examples.classes, "majority": majority}
    metrics = {
        "test": score(test_probabilities, labels[test], examples.groups[test], **keywords),
        "cross_validation": cross_validation_figures(finished, folds, labels),
        "chosen_fold": best + 1,
        "chosen_epoch": finished[best].history[finished[best].best_row],
        "temperature": temperature,
    }
    if len(np.unique(examples.recordings[test])) < len(test):
        songs = by_recording(
            test_probabilities, labels[test], examples.recordings[test], examples.groups[test]
        )
        metrics["test_recordings"] = score(*songs, **keywords)
    held_out.append(("test", test, test_probabilities))
    return Outcome(best + 1, temperature, metrics, held_out)


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
    """Write one row per epoch of every fold: phase, learning rate, losses, accuracy."""
    rows = [{"fold": k} | row for k, p in enumerate(finished, 1) for row in p.history]
    write_csv(file, rows[0], [row.values() for row in rows])


def write_json(file: Path, facts: dict[str, Any]) -> None:
    """Write facts as readable JSON, one whole file."""
    write_text(file, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def summary_lines(metrics: dict[str, Any]) -> list[str]:
    """The answer in a few lines: the test accuracy with its interval, the baseline, the folds."""
    test = metrics["test"]
    low, high = test["accuracy_interval_95"]
    lines = [
        f"test accuracy {test['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) on "
        f"{test['n']} pictures of {test['n_groups']} groups",
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
        f"{len(folds['accuracy'])} folds; the model is fold {metrics['chosen_fold']}'s"
    )
    return lines
