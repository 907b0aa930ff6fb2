"""A network over batches: logits or embeddings, in order."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from train.loop.micro_batch import Parts

Batch = tuple[torch.Tensor, torch.Tensor]


@torch.inference_mode()
def apply(
    function: Callable[[torch.Tensor], torch.Tensor], batches: Iterable[Batch], device: torch.device
) -> np.ndarray:
    """float32 (n, K): `function` of the images of every batch, in their order; (0, 0) of none."""
    outputs: list[torch.Tensor] = [torch.empty(0, 0)]
    parts = Parts()
    for images, _ in progress_bar(batches, "evaluating"):
        done = len(outputs)

        def begin(done: int = done) -> None:
            del outputs[done:]

        def answer(part: slice, images: torch.Tensor = images) -> None:
            outputs.append(function(images[part].to(device, non_blocking=True)).float().cpu())

        parts.each(len(images), answer, begin)
    return torch.cat(outputs[1:] or outputs).numpy()


def progress_bar(batches: Iterable[Batch], what: str) -> Iterable[Batch]:
    """The batches, with a bar on a terminal once they take longer than a second."""
    return tqdm(batches, what, unit=" batches", leave=False, disable=None, delay=1)


def logits_of(model: nn.Module, batches: Iterable[Batch], device: torch.device) -> np.ndarray:
    """Logits float32 (n, C) in evaluation mode and full precision: what predict.py computes."""
    model.eval()
    return apply(model, batches, device)
