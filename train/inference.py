"""A network over batches: logits or embeddings, in order."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

Batch = tuple[torch.Tensor, torch.Tensor]


@torch.inference_mode()
def apply(
    function: Callable[[torch.Tensor], torch.Tensor], batches: Iterable[Batch], device: torch.device
) -> np.ndarray:
    """float32 (n, K): `function` of the images of every batch, in their order."""
    outputs = [
        function(images.to(device, non_blocking=True)).float().cpu() for images, _ in batches
    ]
    return torch.cat(outputs).numpy()


def logits_of(model: nn.Module, batches: Iterable[Batch], device: torch.device) -> np.ndarray:
    """Logits float32 (n, C) in evaluation mode and full precision: what predict.py computes."""
    model.eval()
    return apply(model, batches, device)
