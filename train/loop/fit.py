"""The one training loop: epochs of SGD, the rate stepped by the validation loss, the best kept."""

import copy
import os
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3
from torch import nn

from common.cli import KERNELS
from data.cache.disk import cache_folder
from train.config import TrainConfig
from train.devices.distributed import gathered, summed
from train.loop.inference import apply, shown
from train.loop.micro_batch import MicroBatch
from train.loop.mixup import mixing
from train.loop.optim import make_optimizer, plateau, set_epoch_rate
from train.loop.seeds import derived_seed
from train.loop.state import STREAMS, Batch, EpochRow, Phase, Progress, Weights
from train.loop.train_step import Loss, Step

OnEpoch = Callable[[Progress, EpochRow], None]


def fit(
    fabric: Fabric,
    model: nn.Module,
    phase: Phase,
    config: TrainConfig,
    progress: Progress,
    on_epoch: OnEpoch,
    micro_batch: MicroBatch | None = None,
) -> None:
    """Train `model` through one phase, from where `progress` stands; leaves its best in it.

    The randomness of an epoch depends on the seed, the fold, the phase and its number alone, so
    that an interrupted fold goes on exactly as if it had not been.
    """
    step, scheduler = _set_up(fabric, model, phase, config, progress, micro_batch or MicroBatch())
    kept = step.averaged.module if step.averaged else model
    n_epochs = phase.n_epochs if phase.rates is None else len(phase.rates)
    while progress.epoch < n_epochs and progress.stale < phase.patience:
        progress.epoch += 1
        set_epoch_rate(step.optimizer, phase, config, progress.epoch, n_epochs)
        rate = float(step.optimizer.param_groups[0]["lr"])
        loss = _train_epoch(step, phase, config.seed, progress.epoch)
        validated: tuple[float, float] | None = None
        if phase.rates is None:
            tested = step.averaged.module if step.averaged else step.model
            validated = _evaluate(fabric, tested, kept, phase, progress, step.loss)
            if config.schedule == "plateau" or phase.is_head:
                scheduler.step(validated[0])
        else:
            progress.best_row, progress.best_weights = len(progress.history), on_cpu(kept)
        row = EpochRow(phase.name, progress.epoch, rate, loss, *(validated or ()))
        progress.history.append(row)
        progress.steps, progress.weights = step.n, on_cpu(model)
        progress.averaged = on_cpu(kept) if step.averaged else {}
        progress.optimizer = copy.deepcopy(step.optimizer.state_dict())
        progress.scheduler = scheduler.state_dict()
        on_epoch(progress, row)


def _train_epoch(step: Step, phase: Phase, seed: int, epoch: int) -> float:
    """Seed an epoch and train through it; returns the mean loss per example."""
    stream = STREAMS[phase.name]
    rank = step.fabric.global_rank if phase.together else 0
    phase.set_seed(derived_seed(seed, stream, fold=phase.fold, epoch=epoch, process=rank))
    batches = phase.train_batches(derived_seed(seed, stream, fold=phase.fold, epoch=epoch))
    n_epochs = phase.n_epochs if phase.rates is None else len(phase.rates)
    what = f"training {phase.who}, epoch {epoch} of {n_epochs}"
    return train_one_epoch(step, shown(batches, what, quiet=phase.quiet))


def train_one_epoch(step: Step, batches: Iterable[Batch]) -> float:
    """One pass over the batches; returns the mean loss per picture."""
    step.model.train()
    seen = torch.zeros(2, device=step.fabric.device)
    for images, labels in batches:
        seen[0] += step(images, labels)  # no .item() here: it would wait for the device
        seen[1] += len(labels)
    total, n = (summed(step.fabric, seen) if step.together else seen).tolist()
    return total / n


def _set_up(
    fabric: Fabric,
    model: nn.Module,
    phase: Phase,
    config: TrainConfig,
    progress: Progress,
    micro_batch: MicroBatch,
) -> tuple[Step, torch.optim.lr_scheduler.ReduceLROnPlateau]:
    """What a step needs, and the scheduler, both as `progress` left them."""
    optimizer = make_optimizer(
        model, learning_rate=phase.learning_rate, config=config, head_only=phase.is_head
    )
    scheduler = plateau(optimizer, config, phase.plateau_patience)
    network: Any = _compiled(model) if phase.compiled else model
    wrapped: Any = network
    if phase.wrapped:
        wrapped, optimizer = fabric.setup(network, optimizer)
    if progress.optimizer:
        model.load_state_dict(progress.weights)
        optimizer.load_state_dict(progress.optimizer)
        scheduler.load_state_dict(progress.scheduler)
    several = phase.validation_labels.ndim == 2
    loss = Loss(phase.class_weights, config.label_smoothing, several)
    step = Step(fabric, wrapped, optimizer, loss, micro_batch, n=progress.steps)
    step.together = phase.together and fabric.world_size > 1
    if not phase.is_head:
        head: Any = model.head
        step.mix = mixing(config, head.out_features)
        if config.ema:
            step.averaged = ModelEmaV3(model, decay=config.ema, use_warmup=True)
            if progress.averaged:
                step.averaged.module.load_state_dict(progress.averaged)
    return step, scheduler


def _evaluate(
    fabric: Fabric,
    tested: nn.Module,
    kept: nn.Module,
    phase: Phase,
    progress: Progress,
    loss_of: Loss,
) -> tuple[float, float]:
    """Validation loss and accuracy; `progress` keeps the weights with the lowest loss.

    tested: what answers; kept: the module whose weights these are; loss_of: the loss of training,
    smoothed labels included: by another, answers would be best before they have been learnt.
    """
    tested.eval()
    with fabric.autocast():
        logits = apply(tested, phase.validation_batches(), fabric.device, quiet=phase.quiet)
    if phase.together:
        logits = gathered(fabric, logits)
    labels = phase.validation_labels
    loss = loss_of.mean(torch.from_numpy(logits), torch.from_numpy(labels))
    if loss < progress.best_loss:
        progress.best_loss, progress.stale = loss, 0
        progress.best_row = len(progress.history)
        progress.best_weights = on_cpu(kept)
        progress.best_logits = torch.from_numpy(logits)
    else:
        progress.stale += 1
    return loss, loss_of.accuracy(logits, labels)


def on_cpu(model: nn.Module) -> Weights:
    """A copy of the module's tensors, in the processor's memory."""
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}


def _compiled(model: nn.Module) -> Any:
    """The model by torch.compile; what it makes is kept in the user's cache folder."""
    if os.environ.get(KERNELS) == tempfile.gettempdir():  # nobody chose: see common.cli.run
        os.environ[KERNELS] = str(cache_folder(None) / "compiled")
    return torch.compile(model)
