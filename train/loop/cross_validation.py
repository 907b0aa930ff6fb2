"""Cross-validation: every fold starts from one backbone, trains its head, then more layers."""

import copy
import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.progress import time_in_words
from train.devices.distributed import agreed, barrier, share
from train.loop.checkpoint import read_torch, values_digest, write_torch
from train.loop.embeddings import Embeddings, embeddings_of
from train.loop.fit import fit
from train.loop.head import fit_heads
from train.loop.inference import seconds_per_picture
from train.loop.seeds import Stream, derived_seed
from train.loop.state import FINETUNE, HEAD, EpochRow, Fold, Phase, Progress, Weights
from train.loop.train_step import class_weights
from train.loop.trainer import Trainer
from train.models.classifier import reset_linear

SETTLING = 3
# On two cores: a picture in all epochs of one fold's last layer; testing, report, model.onnx.
HEAD_SECONDS, REPORT_SECONDS = 0.005, 15
TIMED = 4  # pictures that tell how long a picture takes
STEPS_TO_COMPILE = 5000  # fewer would not win back the minute or so that compiling takes
Positions = tuple[np.ndarray, np.ndarray]


def cross_validate(trainer: Trainer, folds: Sequence[Positions]) -> list[Progress]:
    """The finished progress of every fold, and last that of the refit where config.final asks so.

    folds: (training, validation) positions. The refit is one more training, on all that the folds
    have, with the learning rates of the fold whose best epoch is the median. Writes
    checkpoints/fold_<k>.pth as each one ends; what `trainer.run` already holds is not redone.
    """
    start: Weights = copy.deepcopy(trainer.model.state_dict())
    trainer.model.keeps_statistics = trainer.config.head_epochs > 0
    everything = positions_in(folds)
    finished = _train_all(trainer, start, everything, [Fold(k, *f) for k, f in enumerate(folds, 1)])
    if trainer.config.final == "refit":
        rates = rates_of(sorted(finished, key=lambda p: p.best_row)[len(finished) // 2])
        refit = Fold(len(folds) + 1, everything, everything[:0], rates)
        finished += _train_all(trainer, start, everything, [refit])
    return finished


def expected_time(trainer: Trainer, folds: Sequence[Positions]) -> str:
    """How long the run will take, in words, by the time of a few pictures; "" once it has begun.

    A training step takes as long as three forward passes; what stops early takes less.
    """
    if any((trainer.run / "checkpoints").glob("*.pth")):
        return ""
    config, known = trainer.config, positions_in(folds)
    everything, (images, _) = len(known), next(iter(trainer.batches(known[:TIMED])))
    n_trained = sum(len(train) for train, _ in folds) + everything * (config.final == "refit")
    n_answered = sum(len(validation) for _, validation in folds)
    n_passes = everything * (config.head_epochs > 0)
    if config.finetune != "none":
        n_passes += config.epochs * (3 * n_trained + n_answered)
    seconds = n_passes * seconds_per_picture(trainer.model, trainer.fabric, images)
    seconds += n_trained * HEAD_SECONDS * (config.head_epochs > 0) + REPORT_SECONDS
    about = "about" if config.finetune == "none" else "at most"
    return f"expected: {about} {time_in_words(seconds)} until the report\n"


def positions_in(folds: Sequence[Positions]) -> np.ndarray:
    """Every position that a fold trains or validates on, once, sorted: all but the test's."""
    return np.unique(np.concatenate([part for fold in folds for part in fold]))


def rates_of(progress: Progress) -> dict[str, list[float]]:
    """The learning rate of every epoch up to the best, by phase; the head's up to its own best.

    The head's end with `SETTLING` epochs at a tenth of the rate: a fold keeps the best of the
    epochs between which a high rate jumps, a training that validates nothing keeps the last one.
    """
    rates: dict[str, list[float]] = {HEAD: [], FINETUNE: []}
    head = [row for row in progress.history if row.phase == HEAD]
    losses = [math.inf if row.validation_loss is None else row.validation_loss for row in head]
    n_head = 1 + int(np.argmin(losses)) if head else 0
    for row in [*head[:n_head], *progress.history[len(head) : progress.best_row + 1]]:
        rates[row.phase].append(row.learning_rate)
    rates[HEAD] += [rate / 10 for rate in rates[HEAD][-1:] * SETTLING]
    return rates


def _train_all(
    trainer: Trainer, start: Weights, everything: np.ndarray, folds: list[Fold]
) -> list[Progress]:
    """The finished progress of each fold: read, where a checkpoint has it, else trained."""
    fabric = trainer.fabric
    done = agreed(fabric, [_file(trainer, fold).exists() for fold in folds])
    missing = [fold for fold, there in zip(folds, done, strict=True) if not there]
    begun = agreed(fabric, _begun(trainer, missing[0])) if missing else None
    trainer.model.load_state_dict(start)  # an earlier fold may have moved what embeds
    heads = _heads(trainer, missing[1:] if begun else missing, everything)
    if begun:
        heads = itertools.chain([None], heads)
    finished = []
    for fold, there in zip(folds, done, strict=True):
        if there:
            finished.append(_read_finished(trainer, fold))
            continue
        progress = train_fold(trainer, fold, start, next(heads), begun)
        begun = None
        finished.append(_finish(trainer, fold, progress))
    return finished


def _heads(
    trainer: Trainer, folds: list[Fold], everything: np.ndarray
) -> Iterator[Progress | None]:
    """The heads of the folds in order, by the first process; None where there is no head phase."""
    if not folds or not trainer.config.head_epochs or not trainer.fabric.is_global_zero:
        return iter([None] * len(folds))
    heads = trained_heads(trainer, folds, embeddings_of(trainer, everything))
    # Fine-tuning has all cores to itself: no head is trained beside it.
    return heads if trainer.config.finetune == "none" else iter(list(heads))


def trained_heads(
    trainer: Trainer, folds: list[Fold], embeddings: Embeddings
) -> Iterator[Progress]:
    """The heads of the folds in order, each logged as it comes."""
    for fold, head in zip(folds, fit_heads(trainer, folds, embeddings), strict=True):
        for row in head.history:
            trainer.log.epoch(fold.number, row)
        trainer.log.head(fold.number, head)
        yield head


def _file(trainer: Trainer, fold: Fold) -> Path:
    return trainer.run / "checkpoints" / f"fold_{fold.number}.pth"


def _current(trainer: Trainer) -> Path:
    return trainer.run / "checkpoints" / "current.pth"


def _begun(trainer: Trainer, fold: Fold) -> Progress | None:
    """Where the fine-tuning of the fold was interrupted; None if it has not begun."""
    if not _current(trainer).exists():
        return None
    number, progress = read_progress(_current(trainer), trainer)
    # that of another fold was left by a process killed when the fold had just ended
    return progress if number == fold.number else None


def write_progress(file: Path, number: int, progress: Progress) -> None:
    """Write a checkpoint: the progress of a fold, its number, and a digest of both."""
    values = {**progress.to_dict(), "fold": number}
    write_torch(file, values | {"digest": values_digest(values)})


def read_progress(file: Path, trainer: Trainer) -> tuple[int, Progress]:
    """(number of the fold, its progress) in a checkpoint of the trainer's model.

    Raises ValueError that names the file if it is damaged, edited, or of another model.
    """
    values = read_torch(file)
    own = {name: tensor.shape for name, tensor in trainer.model.state_dict().items()}
    try:
        if values.pop("digest") != values_digest(values):
            raise ValueError("it does not hold what was written")
        number, progress = int(values.pop("fold")), Progress.from_dict(values)
        for weights in (progress.best_weights, progress.weights, progress.averaged):
            if weights and {name: tensor.shape for name, tensor in weights.items()} != own:
                raise ValueError("its weights are of another network")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is damaged, or of another program ({error})") from None
    return number, progress


def _read_finished(trainer: Trainer, fold: Fold) -> Progress:
    """The progress of a fold that has ended; ValueError that names its file if it is another's."""
    file = _file(trainer, fold)
    number, progress = read_progress(file, trainer)
    n_logits = 0 if progress.best_logits is None else len(progress.best_logits)
    if number != fold.number or not progress.best_weights or n_logits != len(fold.validation):
        raise ValueError(f"{file} is not of fold {fold.number} of this run: start a new run")
    return progress


def _finish(trainer: Trainer, fold: Fold, progress: Progress) -> Progress:
    """What outlives the fold, now in its checkpoint; ValueError if nothing was learnt."""
    if not progress.best_weights:
        raise ValueError(
            f"fold {fold.number}: the loss was not a number in any epoch; lower "
            "--head-learning-rate or --learning-rate"
        )
    progress = dataclasses.replace(progress, weights={}, averaged={}, optimizer={}, scheduler={})
    if trainer.fabric.is_global_zero:
        write_progress(_file(trainer, fold), fold.number, progress)
        _current(trainer).unlink(missing_ok=True)
    barrier(trainer.fabric)
    return progress


def train_fold(
    trainer: Trainer,
    fold: Fold,
    start: Weights,
    head: Progress | None,
    begun: Progress | None = None,
) -> Progress:
    """The progress of one fold after its phases, its best weights those of the whole model.

    start: the weights that every fold begins with; head: of the head phase, in the first process;
    begun: where fine-tuning was interrupted. The first process alone writes files.
    """
    config, model, fabric = trainer.config, trainer.model, trainer.fabric
    head = agreed(fabric, head)
    model.load_state_dict(start)
    reset_linear(model.head, derived_seed(config.seed, Stream.START, fold=fold.number))
    model.unfreeze(config.finetune)
    progress = begun or Progress()
    if head is not None:
        model.load_state_dict(head.best_weights, strict=False)
        whole = {**start, **head.best_weights} if head.best_weights else {}
        progress = dataclasses.replace(
            head, epoch=0, stale=0, best_weights=whole, weights={}, optimizer={}, scheduler={}
        )
    if config.finetune == "none":
        return progress

    def on_epoch(progress: Progress, row: EpochRow) -> None:
        if fabric.is_global_zero:
            write_progress(_current(trainer), fold.number, progress)
            trainer.log.epoch(fold.number, row)

    phase = finetuning(trainer, fold)
    fit(fabric, model, phase, config, progress, on_epoch, trainer.micro_batch)
    return progress


def finetuning(trainer: Trainer, fold: Fold) -> Phase:
    """The phase in which layers of the backbone are trained too."""
    config, labels, fabric = trainer.config, trainer.pictures.labels, trainer.fabric
    validation = share(fabric, fold.validation)

    def batches(epoch_seed: int) -> Any:
        train = fold.train
        if config.balance == "sampler":
            chances = chances_of(labels[train])
            rng = np.random.default_rng(epoch_seed)
            train = rng.choice(train, len(train), p=chances)
        return trainer.shares(train, epoch_seed)

    weights = class_weights(labels[fold.train], trainer.model.head.out_features)
    n_steps = config.epochs * math.ceil(len(fold.train) / config.batch_size)
    pays = fabric.device.type == "cuda" and n_steps >= STEPS_TO_COMPILE
    return Phase(
        name=FINETUNE,
        fold=fold.number,
        learning_rate=config.learning_rate,
        n_epochs=config.epochs,
        patience=config.patience,
        plateau_patience=config.plateau_patience,
        train_batches=batches,
        validation_batches=lambda: trainer.batches(validation) if len(validation) else [],
        validation_labels=labels[fold.validation],
        class_weights=weights.to(fabric.device) if config.balance == "loss" else None,
        rates=fold.rates_of(FINETUNE),
        together=True,
        compiled=config.compile == "yes" or (config.compile == "auto" and pays),
    )


def chances_of(labels: np.ndarray) -> np.ndarray:
    """Chances (n,) with which each class is drawn as often: of labels (n,), or several (n, C).

    An example with several labels has the mean chance of these.
    """
    if labels.ndim == 1:
        chances = 1 / np.bincount(labels)[labels]
    else:
        chances = labels @ (1 / np.maximum(labels.sum(axis=0), 1)) / labels.sum(axis=1)
    return chances / chances.sum()
