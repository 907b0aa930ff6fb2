"""A network over batches, by the fastest engine at hand: logits or embeddings, in order."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from common.progress import tracked
from train.export.onnx import program_of
from train.loop.micro_batch import MicroBatch
from train.loop.state import Batch
from train.models.classifier import Classifier

# To make the ONNX program takes 5 to 20 s, which few pictures do not win back.
PICTURES_TO_EXPORT = 400
TOLERANCE = 1e-3  # of the features' own root mean square
Features = Callable[[torch.Tensor], torch.Tensor]


@torch.inference_mode()
def apply(
    function: Callable[[torch.Tensor], torch.Tensor],
    batches: Iterable[Batch],
    device: torch.device,
    *,
    quiet: bool = False,
) -> np.ndarray:
    """float32 (n, K): `function` of the images of every batch, in their order; (0, 0) of none."""
    outputs: list[torch.Tensor] = [torch.empty(0, 0)]
    micro_batch = MicroBatch()
    for images, _ in shown(batches, "evaluating", quiet=quiet):
        done = len(outputs)

        def begin(done: int = done) -> None:
            del outputs[done:]

        def answer(part: slice, images: torch.Tensor = images) -> None:
            outputs.append(function(images[part].to(device, non_blocking=True)).float().cpu())

        micro_batch.run(len(images), answer, begin)
    return torch.cat(outputs[1:] or outputs).numpy()


def shown(batches: Iterable[Batch], what: str, *, quiet: bool = False) -> Iterable[Batch]:
    """The batches, while it is shown how many were taken."""
    return batches if quiet else tracked(batches, what, unit="batches")


def logits_of(model: nn.Module, batches: Iterable[Batch], device: torch.device) -> np.ndarray:
    """Logits float32 (n, C) in evaluation mode and full precision: what predict.py computes."""
    model.eval()
    return apply(model, batches, device)


def frozen_features(
    model: Classifier, fabric: Fabric, n_pictures: int, kept: Path | None = None
) -> Features:
    """A function of pictures uint8 (B, 3, H, W) that returns their embeddings float32 (B, F).

    onnxruntime computes them on a processor in full precision, as where there is no bfloat16, if
    there are pictures enough: it takes a third of torch's time (bench/RESULTS.md). Else torch does,
    in the precision of the fabric. kept: the folder of ONNX graphs, as of `program_of`.
    """
    model.to(fabric.device).eval()

    @torch.inference_mode()
    def by_torch(images: torch.Tensor) -> torch.Tensor:
        with fabric.autocast():
            return model.features(images.to(fabric.device, non_blocking=True)).float().cpu()

    in_full = fabric.device.type == "cpu" and fabric._precision.precision == "32-true"
    if in_full and n_pictures >= PICTURES_TO_EXPORT:
        return by_onnxruntime(model, by_torch, kept)
    return by_torch


def seconds_per_picture(model: Classifier, fabric: Fabric, images: torch.Tensor) -> float:
    """Seconds that the features of one picture take here, of a few uint8 (B, 3, H, W)."""
    features = frozen_features(model, fabric, n_pictures=0)
    features(images[:1])
    started = time.perf_counter()
    features(images)
    return (time.perf_counter() - started) / len(images)


def by_onnxruntime(model: Classifier, by_torch: Features, kept: Path | None = None) -> Features:
    """The same function by onnxruntime, made at the first batch and compared with torch's there.

    Where the network cannot be exported, or the features differ by more than 1e-3 of their root
    mean square, torch goes on.
    """
    engine: Features | None = None

    def features(images: torch.Tensor) -> torch.Tensor:
        nonlocal engine
        if engine is None:
            truth, engine = by_torch(images), _session(model, images, kept) or by_torch
            if not is_close(engine(images), truth):
                engine = by_torch
        return engine(images)

    return features


def is_close(found: torch.Tensor, truth: torch.Tensor) -> bool:
    """Whether features (B, F) differ from true ones by at most 1e-3 of their root mean square."""
    return bool((found - truth).square().mean().sqrt() <= TOLERANCE * truth.square().mean().sqrt())


class _Backbone(torch.nn.Module):
    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model.features(images)


def _session(model: Classifier, images: torch.Tensor, kept: Path | None) -> Features | None:
    """onnxruntime's function of the features, or None where there is no such program."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        example = torch.zeros_like(images[:2].contiguous())
        program = program_of(_Backbone(model), example, "images", kept=kept)
        session = onnxruntime.InferenceSession(
            program.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception:  # both raise many kinds for a network that they do not know
        return None

    def features(batch: torch.Tensor) -> torch.Tensor:
        (rows,) = session.run(None, {"images": np.ascontiguousarray(batch.numpy())})
        return torch.from_numpy(rows)

    return features
