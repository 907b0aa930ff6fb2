"""A model's answers to all examples of a part, before calibration."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from train.loop.inference import apply, logits_of
from train.loop.state import Batch

MOST_EMBEDDED = 1000

BatchesOf = Callable[[np.ndarray], Iterable[Batch]]  # positions -> their batches


@dataclass(frozen=True)
class Answers:
    """Logits float32 (n, C) of all examples, embeddings (m, F) of some, at positions `embedded`."""

    logits: np.ndarray
    embedded: np.ndarray
    embeddings: np.ndarray


def answers_of(model: Any, batches: BatchesOf, n: int, device: torch.device) -> Answers:
    """The model's answers to n examples, in full precision; one pass gives both where it can."""
    model.eval()
    embedded = np.sort(np.random.default_rng(0).permutation(n)[:MOST_EMBEDDED])
    if not hasattr(model, "classify") or not getattr(model, "one_backbone", True):
        logits = logits_of(model, batches(np.arange(n)), device)
        return Answers(logits, embedded, apply(model.features, batches(embedded), device))

    def both(images: torch.Tensor) -> torch.Tensor:
        embeddings = model.features(images)
        return torch.cat([model.classify(embeddings), embeddings], dim=1)

    some = apply(both, batches(embedded), device)
    n_classes = some.shape[1] - model.n_features
    logits = np.empty((n, n_classes), np.float32)
    logits[embedded] = some[:, :n_classes]
    rest = np.setdiff1d(np.arange(n), embedded)
    if len(rest):
        logits[rest] = logits_of(model, batches(rest), device)
    return Answers(logits, embedded, some[:, n_classes:])
