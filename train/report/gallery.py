"""Which tested pictures a reader is shown: mistakes, what is mixed up with what, typical ones."""

import base64
import io
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from train.loop.inference import Batch, apply, logits_of
from train.models.classifier import Classifier
from train.models.gradcam import grad_cam

N_CONFUSIONS, N_PER_CONFUSION = 5, 3
N_MISTAKES = 8
N_TYPICAL = 12
N_HEAT_MISTAKES = 6
MOST_EMBEDDED = 1000
WIDTH = 240  # of a shown picture in pixels


@dataclass(frozen=True)
class Tested:
    """The tested examples and how to look at them.

    paths str (n,); labels int64 (n,); probabilities float (n, C); embeddings float (m, F): of the
    positions `embedded` int (m,), 1000 at most; pictures: positions (k,) -> uint8 (k, H, W, 3);
    heat: positions and class indices (k,) -> float (k, h, w) in [0, 1], where the network looked,
    or ValueError when it cannot tell; shape: (width, height) of a picture as it was drawn.
    """

    classes: tuple[str, ...]
    paths: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    embedded: np.ndarray
    embeddings: np.ndarray
    pictures: Callable[[np.ndarray], np.ndarray]
    heat: Callable[[np.ndarray, np.ndarray], np.ndarray]
    shape: tuple[int, int]

    @property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each example, int (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """Its probability, float (n,)."""
        return self.probabilities.max(axis=1)


@dataclass(frozen=True)
class Answers:
    """Logits float32 (n, C) of all examples, embeddings (m, F) of some, at positions `embedded`."""

    logits: np.ndarray
    embedded: np.ndarray
    embeddings: np.ndarray


def answers_of(
    model: Any, batches: Callable[[np.ndarray], Iterable[Batch]], n: int, device: torch.device
) -> Answers:
    """The model's answers to n examples, in full precision; one pass gives both where it can.

    batches: positions -> their batches.
    """
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


def look_at(
    model: Classifier,
    examples: dict[str, Any],
    answers: Answers,
    batches: Callable[[np.ndarray], Iterable[Batch]],
    device: torch.device,
    shape: tuple[int, int],
) -> Tested:
    """The tested examples and the model's answers, ready to be shown.

    examples: classes, paths, labels and probabilities; batches: positions -> their batches.
    """

    def pictures(positions: np.ndarray) -> np.ndarray:
        images = torch.cat([images for images, _ in batches(positions)])
        return images.permute(0, 2, 3, 1).contiguous().numpy()

    def heat(positions: np.ndarray, class_indices: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(pictures(positions)).permute(0, 3, 1, 2)
        named = torch.from_numpy(class_indices)
        return grad_cam(model, images.to(device), named.to(device)).cpu().numpy()

    return Tested(
        **examples, embedded=answers.embedded, embeddings=answers.embeddings, pictures=pictures,
        heat=heat, shape=shape,
    )  # fmt: skip


def confusions(tested: Tested) -> list[tuple[int, int, np.ndarray]]:
    """(true class, predicted class, positions), the most frequent first, most confident first."""
    wrong = np.flatnonzero(tested.predicted != tested.labels)
    pairs: dict[tuple[int, int], list[int]] = {}
    for i in wrong[np.argsort(-tested.confidence[wrong], kind="stable")]:
        pairs.setdefault((int(tested.labels[i]), int(tested.predicted[i])), []).append(int(i))
    ranked = sorted(pairs.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(truth, predicted, np.array(positions)) for (truth, predicted), positions in ranked]


def mistakes(tested: Tested, n: int) -> np.ndarray:
    """Positions of the n most confident mistakes, int (k,), the most confident first."""
    wrong = np.flatnonzero(tested.predicted != tested.labels)
    return wrong[np.argsort(-tested.confidence[wrong], kind="stable")][:n]


def typical(tested: Tested, n: int) -> np.ndarray:
    """Positions of the most confidently right example of each class, of n classes at most."""
    right = tested.predicted == tested.labels
    best = []
    for label in range(len(tested.classes)):
        mine = np.flatnonzero(right & (tested.labels == label))
        if len(mine):
            best.append(int(mine[np.argmax(tested.confidence[mine])]))
    return np.array(best[:n], dtype=int)


def tiles(tested: Tested) -> dict[str, Any]:
    """Everything that is shown, as plain data with the pictures inside.

    confusions: truth, predicted, n, share of the true class, examples; mistakes: examples; heat:
    examples with `heat`, empty when the network has no heat map.
    """
    ranked = confusions(tested)[:N_CONFUSIONS]
    wrong = mistakes(tested, N_MISTAKES)
    counts = np.bincount(tested.labels, minlength=len(tested.classes))
    found = {
        "confusions": [
            {
                "truth": tested.classes[truth],
                "predicted": tested.classes[predicted],
                "n": len(positions),
                "share": len(positions) / counts[truth],
                "examples": examples(tested, positions[:N_PER_CONFUSION]),
            }
            for truth, predicted, positions in ranked
        ],
        "mistakes": examples(tested, wrong),
        "typical_heat": [],
        "mistakes_heat": [],
    }
    with suppress(ValueError):  # transformers have no feature maps
        found["typical_heat"] = examples(tested, typical(tested, N_TYPICAL), with_heat=True)
        found["mistakes_heat"] = examples(tested, wrong[:N_HEAT_MISTAKES], with_heat=True)
    return found


def examples(
    tested: Tested, positions: np.ndarray, *, with_heat: bool = False
) -> list[dict[str, Any]]:
    """Path, truth, the likeliest three (class, probability) and the picture of each position."""
    if not len(positions):
        return []
    pictures = tested.pictures(positions)
    heats: list[np.ndarray | None] = [None] * len(positions)
    if with_heat:
        heats = list(tested.heat(positions, tested.predicted[positions]))
    shown = []
    for i, picture, heat in zip(positions, pictures, heats, strict=True):
        row = tested.probabilities[i]
        best = np.argsort(-row, kind="stable")[:3]
        shown.append(
            {
                "path": str(tested.paths[i]),
                "truth": tested.classes[tested.labels[i]],
                "p_truth": float(row[tested.labels[i]]),
                "top": [(tested.classes[k], float(row[k])) for k in best],
                "right": bool(best[0] == tested.labels[i]),
                "src": as_jpeg(picture, tested.shape),
                "heat": None if heat is None else as_jpeg(overlay(picture, heat), tested.shape),
            }
        )
    return shown


def overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The picture uint8 (H, W, 3) in grey, cyan where the heat, float (h, w) in [0, 1], is high."""
    grey = np.asarray(Image.fromarray(picture).convert("L"), dtype=np.float32) * 0.75
    mask = Image.fromarray((255 * heat.clip(0, 1)).astype(np.uint8))
    size = (picture.shape[1], picture.shape[0])
    weight = np.asarray(mask.resize(size, Image.Resampling.BILINEAR), dtype=np.float32) / 255
    colour = np.array([0, 255, 230], dtype=np.float32)
    mixed = grey[..., None] * (1 - 0.55 * weight[..., None]) + 0.55 * weight[..., None] * colour
    return mixed.clip(0, 255).astype(np.uint8)


def as_jpeg(picture: np.ndarray, shape: tuple[int, int]) -> str:
    """The picture uint8 (H, W, 3) as a data URI, 240 pixels wide in the proportions of `shape`."""
    height = round(WIDTH * min(max(shape[1] / shape[0], 0.2), 2))
    out = io.BytesIO()
    image = Image.fromarray(picture).resize((WIDTH, height), Image.Resampling.BILINEAR)
    image.save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
