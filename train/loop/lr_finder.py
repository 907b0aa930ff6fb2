"""A learning rate to begin with: one short training in which the rate only rises."""

import dataclasses
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter1d
from torch import nn

from common.plots import new_figure, save_figure
from train.loop.cross_validation import Fold, Trainer, train_fold
from train.loop.fit import Phase, Progress, fit
from train.loop.head import Top, embeddings_of, standardise
from train.loop.inference import Batch

N_STEPS = 100
RANGES = {"head": (1e-2, 1e3), "finetune": (1e-6, 1.0)}
OPTIONS = {"head": "--head-learning-rate", "finetune": "--learning-rate"}
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
    torch.manual_seed(fold.seed(config))
    if config.finetune == "none" and embeddings is not None:
        standardise(model, embeddings, fold.train)
        rows = _endless(fold.train, config.batch_size)
        batches = (_batch_of(embeddings, trainer.pictures.labels, part) for part in rows)
        return _rising(trainer, Top(model), "head", batches)
    if embeddings is not None:
        only_head = dataclasses.replace(config, finetune="none")
        train_fold(dataclasses.replace(trainer, config=only_head), fold, embeddings)
    model.unfreeze(config.finetune)
    return _rising(trainer, model, "finetune", _endless_pictures(trainer, fold.train))


def _rising(
    trainer: Trainer, model: nn.Module, phase: str, batches: Iterator[Batch]
) -> tuple[str, np.ndarray, np.ndarray]:
    """One step is an epoch of one batch, at a rate that was planned."""
    rates = np.geomspace(*RANGES[phase], N_STEPS)
    nothing = np.empty(0, dtype=np.int64)
    plan = Phase(
        phase, rates[0], N_STEPS, N_STEPS, N_STEPS, lambda _: [next(batches)], lambda: [], nothing,
        None, rates.tolist(),
    )  # fmt: skip
    progress = Progress()
    fit(
        trainer.fabric, model, plan, trainer.config, progress, seed=trainer.config.seed,
        on_epoch=lambda *_: None, parts=trainer.parts,
    )  # fmt: skip
    return phase, rates, np.array([row["train_loss"] for row in progress.history])


def _endless(positions: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Positions of one batch after another, in a new order each time all have been had."""
    for epoch in count():
        order = np.random.default_rng(epoch).permutation(positions)
        for i in range(0, max(1, len(order) - batch_size + 1), batch_size):
            yield order[i : i + batch_size]


def _batch_of(embeddings: np.ndarray, labels: np.ndarray, part: np.ndarray) -> Batch:
    return torch.from_numpy(embeddings[part]).float(), torch.from_numpy(labels[part])


def _endless_pictures(trainer: Trainer, positions: np.ndarray) -> Iterator[Batch]:
    for epoch in count():
        yield from trainer.batches(positions, seed=epoch)


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
        phase, rates, losses = find_rate(dataclasses.replace(trainer, run=Path(scratch)), fold)
    rate, smooth = suggestion(rates, losses)
    file = trainer.run / "learning_rate.png"
    save_figure(draw(rates, losses, smooth, rate), file)
    now = getattr(trainer.config, OPTIONS[phase].removeprefix("--").replace("-", "_"))
    return f"try {OPTIONS[phase]} {rate:.2g} (now {now:g}); the curve is in {file}"
