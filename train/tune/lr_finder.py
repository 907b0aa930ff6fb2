"""A learning rate to begin with: one short training in which the rate only rises."""

import copy
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter1d
from torch import nn

from common.plots import new_figure, save_figure
from train.loop.cross_validation import train_fold
from train.loop.embeddings import embeddings_of
from train.loop.fit import fit
from train.loop.head import LastLayer, StandardisedRows, fit_heads, new_head
from train.loop.seeds import Stream, derived_seed
from train.loop.state import FINETUNE, HEAD, Batch, Fold, Phase, Progress
from train.loop.trainer import Trainer

N_STEPS = 100
RANGES = {HEAD: (1e-2, 1e3), FINETUNE: (1e-6, 1.0)}
OPTIONS = {HEAD: "--head-learning-rate", FINETUNE: "--learning-rate"}
SMOOTHING = 4.0  # steps: single batches are noisy


def find_rate(trainer: Trainer, fold: Fold) -> tuple[str, np.ndarray, np.ndarray]:
    """(phase, rates (n,), training losses (n,)) of single steps at ever higher rates.

    The phase is fine-tuning, from a head that is trained first, or "head" where nothing else is
    trained; only the fold's training part is learnt from. Smith, "Cyclical Learning Rates for
    Training Neural Networks", WACV 2017.
    """
    config, model = trainer.config, trainer.model
    everything = np.union1d(fold.train, fold.validation)
    embeddings = embeddings_of(trainer, everything) if config.head_epochs else None
    model.keeps_statistics = embeddings is not None
    if config.finetune == "none" and embeddings is not None:
        head = new_head(trainer, fold, embeddings)
        rows = StandardisedRows.of(trainer, fold, head, embeddings, limit=0)
        labels = trainer.pictures.labels
        batches = (
            (rows.at(part), torch.from_numpy(labels[part])) for part in _endless(trainer, fold)
        )
        return _rising(trainer, fold, LastLayer(head, trainer.fabric), HEAD, batches)
    if embeddings is not None:
        only_head = replace(trainer, config=replace(config, finetune="none"))
        [progress] = fit_heads(only_head, [fold], embeddings)
        train_fold(only_head, fold, copy.deepcopy(model.state_dict()), progress)
    model.unfreeze(config.finetune)
    pictures = (
        batch
        for epoch in count(1)
        for batch in trainer.batches(fold.train, _seed(trainer, fold, epoch))
    )
    return _rising(trainer, fold, model, FINETUNE, pictures)


def _rising(
    trainer: Trainer, fold: Fold, model: nn.Module, name: str, batches: Iterator[Batch]
) -> tuple[str, np.ndarray, np.ndarray]:
    """One step is an epoch of one batch, at a rate that was planned."""
    rates = np.geomspace(*RANGES[name], N_STEPS)
    phase = Phase(
        name=name,
        fold=fold.number,
        learning_rate=rates[0],
        n_epochs=N_STEPS,
        patience=N_STEPS,
        plateau_patience=N_STEPS,
        train_batches=lambda _: [next(batches)],
        validation_batches=lambda: [],
        validation_labels=trainer.pictures.labels[:0],
        rates=rates.tolist(),
    )
    progress, micro_batch = Progress(), trainer.micro_batch
    fit(trainer.fabric, model, phase, trainer.config, progress, lambda *_: None, micro_batch)
    return name, rates, np.array([row.train_loss for row in progress.history])


def _seed(trainer: Trainer, fold: Fold, epoch: int) -> int:
    return derived_seed(trainer.config.seed, Stream.RATE, fold=fold.number, epoch=epoch)


def _endless(trainer: Trainer, fold: Fold) -> Iterator[np.ndarray]:
    """Positions of one batch after another, in a new order each time all have been had."""
    batch_size = trainer.config.batch_size
    for epoch in count(1):
        order = np.random.default_rng(_seed(trainer, fold, epoch)).permutation(fold.train)
        for i in range(0, max(1, len(order) - batch_size + 1), batch_size):
            yield order[i : i + batch_size]


def suggestion(rates: np.ndarray, losses: np.ndarray) -> tuple[float, np.ndarray]:
    """(the rate at which the loss falls fastest, the smoothed losses (n,)).

    Steps after the first loss that is not a number do not count, nor does what falls again after
    the minimum. Raises ValueError when the loss never falls.
    """
    wrong = np.flatnonzero(~np.isfinite(losses))
    losses = losses[: wrong[0]] if len(wrong) else losses
    if len(losses) < 3:
        raise ValueError("--find-rate: the loss is not a number from the first steps on")
    smooth = gaussian_filter1d(losses, SMOOTHING, mode="nearest")
    slope = np.gradient(smooth)[: int(smooth.argmin()) + 1]
    if slope.min() >= 0:
        raise ValueError("--find-rate: the loss falls at no rate; nothing can be suggested")
    return float(rates[slope.argmin()]), smooth


def draw(rates: np.ndarray, losses: np.ndarray, smooth: np.ndarray, rate: float) -> Figure:
    """The loss of each step by its rate, with the suggested rate."""
    figure, axes = new_figure(6.4, 3.6)
    axes.semilogx(rates, losses, ".", color="grey", ms=3)
    axes.semilogx(rates[: len(smooth)], smooth, color="C0")
    axes.axvline(rate, color="C3", ls="--", lw=1)
    top = losses[np.isfinite(losses)][: N_STEPS // 4].max()
    axes.set_ylim(0, 1.5 * top)
    axes.set(xlabel="learning rate", ylabel="training loss")
    axes.set_title(f"falls fastest at {rate:.2g}", fontsize=10)
    return figure


def find_and_draw(trainer: Trainer, fold: Fold) -> str:
    """Write learning_rate.png into the trainer's folder; a line that says which rate to try."""
    with tempfile.TemporaryDirectory() as scratch:
        phase, rates, losses = find_rate(replace(trainer, run=Path(scratch)), fold)
    rate, smooth = suggestion(rates, losses)
    file = trainer.run / "learning_rate.png"
    save_figure(draw(rates, losses, smooth, rate), file)
    now = getattr(trainer.config, OPTIONS[phase].removeprefix("--").replace("-", "_"))
    return f"try {OPTIONS[phase]} {rate:.2g} (now {now:g}); the curve is in {file}"
