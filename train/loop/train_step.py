"""One step of training: a batch's gradient, whatever parts it is computed in, and who averages."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from train.devices.distributed import average
from train.loop.micro_batch import MicroBatch
from train.loop.state import Batch

MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Loss:
    """Cross entropy with weights float32 (C,) of the classes and smoothed labels.

    several: each class is a question of its own, whose binary cross entropies are added up; the
    weights are those of the examples that have the label.
    """

    class_weights: torch.Tensor | None = None
    smoothing: float = 0.0
    several: bool = False

    def total(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The sum over examples; targets are labels (B,) or probabilities (B, C)."""
        if self.several:
            smooth = targets * (1 - self.smoothing) + self.smoothing / 2
            return binary_cross_entropy_with_logits(
                logits, smooth, pos_weight=self.class_weights, reduction="sum"
            )
        return cross_entropy(
            logits, targets, self.class_weights, reduction="sum", label_smoothing=self.smoothing
        )

    def weight(self, targets: torch.Tensor) -> torch.Tensor:
        """What divides that sum for torch's mean: a scalar."""
        if self.class_weights is None or targets.ndim > 1:
            return torch.tensor(float(len(targets)), device=targets.device)
        return self.class_weights[targets].sum()

    def mean(self, logits: torch.Tensor, targets: torch.Tensor) -> float:
        """torch's mean, wherever the logits are."""
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        here = replace(self, class_weights=weights)
        return (here.total(logits, targets) / here.weight(targets)).item()

    def accuracy(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """The share of examples whose label is found, or all of their labels and no other."""
        if self.several:
            return float(((logits > 0) == (labels > 0)).all(axis=1).mean())
        return float((logits.argmax(axis=1) == labels).mean())


def class_weights(labels: np.ndarray, n_classes: int) -> torch.Tensor:
    """Weights float32 (C,) inverse to the class sizes, 1 on average over the examples of labels.

    Of several labels (n, C): how many examples lack the label for each that has it.
    """
    if labels.ndim == 2:
        counts = labels.sum(axis=0)
        return torch.from_numpy((len(labels) - counts) / np.maximum(counts, 1)).float()
    counts = np.bincount(labels, minlength=n_classes)
    weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.tensor(weights, dtype=torch.float32)


@dataclass
class Step:
    """Moves the weights by one batch; `n` counts the steps.

    mix: pictures and labels to mixed pictures and the probabilities of their classes; averaged:
    follows the weights; together: every process computes its share of the batch.
    """

    fabric: Fabric
    model: nn.Module
    optimizer: Any
    loss: Loss = field(default_factory=Loss)
    micro_batch: MicroBatch = field(default_factory=MicroBatch)
    mix: Callable[[torch.Tensor, torch.Tensor], Batch] | None = None
    averaged: ModelEmaV3 | None = None
    together: bool = False
    n: int = 0

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss before the step, summed over this process's examples: a scalar, on the device.

        images: uint8 (B, 3, H, W) or float32 (B, F); labels: int64 (B,), float32 (B, C) of several.
        """
        images = images.to(self.fabric.device, non_blocking=True)
        targets = labels.to(self.fabric.device, non_blocking=True)
        if self.mix and len(labels):
            images, targets = self.mix(images.float(), targets)
        weight, total = self.loss.weight(targets), torch.zeros((), device=self.fabric.device)

        def begin() -> None:
            self.optimizer.zero_grad()
            total.zero_()

        def backward(part: slice) -> None:
            loss = self.loss.total(self.model(images[part]), targets[part])
            self.fabric.backward(loss / weight)
            total.add_(loss.detach())

        self.micro_batch.run(len(labels), backward, begin)
        if self.together:
            average(self.fabric, self.model.parameters(), weight)
        # A bound on a step: at the usual rates a pretrained network can otherwise leave its weights
        # in the first epoch for good (losses of 100 and more were seen).
        self.fabric.clip_gradients(
            self.model,
            self.optimizer,
            max_norm=MAX_GRADIENT_NORM,
            error_if_nonfinite=False,  # a loss that is no number is told when the fold has ended
        )
        self.optimizer.step()
        self.n += 1
        if self.averaged:
            self.averaged.update(self.model, step=self.n)
        return total / weight.clamp_min(1e-12) * len(labels)
