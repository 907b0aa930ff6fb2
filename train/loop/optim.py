"""Which optimizer moves which weights, and at which learning rate in every epoch."""

import difflib
import math
from typing import Any

import torch
from timm.optim import create_optimizer_v2, list_optimizers, param_groups_layer_decay

from train.config import TrainConfig
from train.loop.state import Phase

TIMMS = {"sgd": "momentum"}  # what timm calls sgd has Nesterov's momentum


def check_optimizer(name: str) -> None:
    """Raise ValueError that suggests near names when timm has no such optimizer."""
    if name not in list_optimizers():
        near = difflib.get_close_matches(name, map(str, list_optimizers()), n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ValueError(f"--optimizer {name}: no such optimizer{hint}")


def make_optimizer(
    model: Any, *, learning_rate: float, config: TrainConfig, head_only: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of what is not frozen; that of a head alone is always SGD.

    With config.layer_decay below 1, the first group is the last layer's, and each layer of the
    backbone below it learns at that many times the rate of the one above.
    """
    groups: list[dict[str, Any]]
    if head_only or config.layer_decay == 1:
        groups = [{"params": [p for p in model.parameters() if p.requires_grad]}]
    else:
        if not hasattr(getattr(model, "backbone", None), "group_matcher"):
            raise ValueError(f"--layer-decay {config.layer_decay}: this network names no layers")
        layers = param_groups_layer_decay(
            model.backbone,
            layer_decay=config.layer_decay,
            weight_decay=config.weight_decay,
            weight_decay_exclude_1d=False,
        )
        below = [{"params": layer["params"], "lr_scale": layer["lr_scale"]} for layer in layers]
        groups = [{"params": list(model.head.parameters())}, *below]
    for group in groups:
        group["lr"] = learning_rate * group.setdefault("lr_scale", 1.0)
    name, decay = config.optimizer, config.weight_decay
    if head_only:
        name, decay = "sgd", config.head_weight_decay
    check_optimizer(name)
    return create_optimizer_v2(
        groups,
        TIMMS.get(name, name),
        lr=learning_rate,
        weight_decay=decay,
        momentum=config.momentum,
        filter_bias_and_bn=False,
    )


def set_epoch_rate(
    optimizer: Any, phase: Phase, config: TrainConfig, epoch: int, n_epochs: int
) -> None:
    """Set the rate of an epoch, counted from 1, where the validation loss does not decide it.

    A refit repeats the recorded rates of the folds; a last layer alone is left to `plateau`.
    """
    rate = phase.rates[epoch - 1] if phase.rates is not None else None
    if rate is None and not phase.is_head:
        rate = planned_rate(config, epoch, n_epochs)
    if rate is not None:
        set_rate(optimizer, rate)


def set_rate(optimizer: Any, rate: float) -> None:
    """Give every layer its part of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]


def planned_rate(config: TrainConfig, epoch: int, n_epochs: int) -> float | None:
    """The rate of fine-tuning in an epoch, counted from 1; None where the last one stays.

    It rises in equal steps over config.warmup_epochs. Then it is left to the validation loss, or
    falls as a half cosine that would reach 0 after the last epoch.
    """
    after = epoch - config.warmup_epochs
    if after < 1:
        return config.learning_rate * epoch / (config.warmup_epochs + 1)
    if config.schedule == "plateau":
        return config.learning_rate if after == 1 else None
    passed = (after - 1) / max(1, n_epochs - config.warmup_epochs)
    return config.learning_rate * (1 + math.cos(math.pi * passed)) / 2


def plateau(
    optimizer: torch.optim.Optimizer, config: TrainConfig, patience: int
) -> torch.optim.lr_scheduler.ReduceLROnPlateau:
    """Lowers the rate after `patience` epochs without a lower validation loss."""
    return torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=config.plateau_factor, patience=patience
    )
