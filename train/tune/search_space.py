"""What a search tries, and how good each try is: by what the folds held out, never by the test."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import islice, repeat
from typing import Any

import numpy as np
import optuna
from scipy.special import log_softmax

from train.config import TrainConfig
from train.evaluate.calibration import fit_temperature
from train.loop.cross_validation import positions_in, train_fold, trained_heads
from train.loop.embeddings import embeddings_of
from train.loop.state import Fold, Progress
from train.loop.trainer import Trainer

Folds = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, by their logarithm where several powers of ten are meant."""

    low: float
    high: float
    log: bool = False


Space = dict[str, Range | tuple[Any, ...]]

OF_ALL: Space = {
    "dropout": Range(0.0, 0.9),
    "batch_size": (16, 32, 64, 128),
    "label_smoothing": Range(0.0, 0.3),
}
OF_HEADS: Space = {
    "head_learning_rate": Range(0.1, 50.0, log=True),
    "head_weight_decay": Range(1e-6, 1e-2, log=True),
}
OF_FINETUNING: Space = {
    "learning_rate": Range(1e-4, 1e-1, log=True),
    "weight_decay": Range(1e-6, 1e-1, log=True),
    "finetune": ("last:1", "last:2", "last:3", "all"),
    "crop_time": Range(0.2, 1.0),
    "crop_frequency": Range(0.7, 1.0),
    "time_roll": Range(0.0, 0.5),
    "time_mask": Range(0.0, 0.3),
    "frequency_mask": Range(0.0, 0.3),
    "gain": Range(0.0, 0.3),
    "contrast": Range(0.0, 0.3),
    "frequency_warp": Range(0.0, 0.2),
    "mixup": Range(0.0, 1.0),
    "cutmix": Range(0.0, 1.0),
    "layer_decay": Range(0.6, 1.0),
}


def space_for(config: TrainConfig, backbones: tuple[str, ...], only: tuple[str, ...]) -> Space:
    """What can be searched with these settled options; ValueError for a name that cannot.

    Augmentation and the rates of layers that stay frozen change nothing, and are left out. only:
    the names to search, if not all.
    """
    space = dict(OF_ALL)
    if config.head_epochs:
        space |= OF_HEADS
    if config.finetune != "none":
        space |= OF_FINETUNING
        if config.finetune not in OF_FINETUNING["finetune"]:  # type: ignore[operator]
            space["finetune"] = (config.finetune, *OF_FINETUNING["finetune"])  # type: ignore[misc]
    if backbones:
        space["model"] = backbones
    unknown = [name for name in only if name not in space]
    if unknown:
        raise ValueError(f"--only {','.join(unknown)}: what is searched here is {', '.join(space)}")
    return {name: values for name, values in space.items() if not only or name in only}


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """A value for every name."""
    return {
        name: trial.suggest_float(name, values.low, values.high, log=values.log)
        if isinstance(values, Range)
        else trial.suggest_categorical(name, values)
        for name, values in space.items()
    }


def within(space: Space, options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that the space can express: where a search begins."""
    inside = {}
    for name, values in space.items():
        value: Any = options.get(name)
        if isinstance(values, Range):
            inside[name] = min(max(value, values.low), values.high)
        elif value in values:
            inside[name] = value
    return inside


def changed(config: Any, values: dict[str, Any]) -> Any:
    """The dataclass with those of the values that are its own."""
    own = {field.name for field in fields(config)}
    return type(config)(**(vars(config) | {k: v for k, v in values.items() if k in own}))


def try_folds(
    trainer: Trainer, folds: Folds, embedder: Trainer, report: Callable[[int, float, float], None]
) -> None:
    """Train every fold and report its number, and loss and accuracy of all held out so far.

    The loss is the mean over the held-out pictures, after one temperature: it must not favour
    options that only change how sure the answers sound. embedder: another trainer of the same
    backbone, whose run keeps its embeddings for all tries.
    """
    start = copy.deepcopy(trainer.model.state_dict())
    trainer.model.keeps_statistics = trainer.config.head_epochs > 0
    numbered = [Fold(number, *positions) for number, positions in enumerate(folds, start=1)]
    heads: Iterator[Progress | None] = repeat(None)
    if trainer.config.head_epochs:
        embeddings = embeddings_of(embedder, positions_in(folds))
        heads = trained_heads(trainer, numbered, embeddings)
    if trainer.config.finetune != "none":  # which has all cores to itself
        heads = iter(list(islice(heads, len(numbered))))
    logits, labels = [], []
    for fold in numbered:
        progress = train_fold(trainer, fold, start, next(heads))
        (trainer.run / "checkpoints" / "current.pth").unlink(missing_ok=True)
        if progress.best_logits is None:
            raise optuna.TrialPruned("the loss was not a number in any epoch")
        logits.append(progress.best_logits.numpy())
        labels.append(trainer.pictures.labels[fold.validation])
        report(fold.number, *held_out(np.concatenate(logits), np.concatenate(labels)))


def held_out(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """(mean loss at the best temperature, accuracy) of logits (n, C)."""
    log_p = log_softmax(logits.astype(np.float64) / fit_temperature(logits, labels), axis=1)
    loss = -log_p[np.arange(len(labels)), labels].mean()
    return float(loss), float((logits.argmax(axis=1) == labels).mean())
