"""Which tested pictures a reader is shown: mistakes, what is mixed up with what, typical ones."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from common.html import thumbnail_uri
from train.evaluate.answers import BatchesOf
from train.models.classifier import Classifier
from train.models.gradcam import grad_cam
from train.report.sounds import SoundOf, silence

N_CONFUSIONS, N_PER_CONFUSION, N_TYPICAL = 8, 3, 12
SURE = 0.9  # a mistake of this probability is a reason to look at the label

PicturesOf = Callable[[np.ndarray], np.ndarray]  # positions (k,) -> uint8 (k, H, W, 3)
HeatOf = Callable[[np.ndarray, np.ndarray], np.ndarray]  # and class indices (k,) -> (k, h, w)


@dataclass(frozen=True)
class Answered:
    """The tested examples and how to look at them.

    paths str (n,); labels int64 (n,); probabilities float (n, C); embeddings float (m, F): of the
    positions `embedded` int (m,); heat: where the network looked, float in [0, 1], or ValueError
    when it cannot tell; shape: (width, height) of a picture as it was drawn; sound: what the
    picture of a path sounds like.
    """

    classes: tuple[str, ...]
    paths: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    embedded: np.ndarray
    embeddings: np.ndarray
    pictures: PicturesOf
    heat: HeatOf
    shape: tuple[int, int]
    sound: SoundOf = silence

    @property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each example, int (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """Its probability, float (n,)."""
        return self.probabilities.max(axis=1)


@dataclass(frozen=True)
class Tile:
    """One example as it is shown; picture, heat and sound are data URIs, top the likeliest three.

    second_look: whether its label should be looked at again.
    """

    path: str
    truth: str
    top: list[tuple[str, float]]
    picture: str
    heat: str | None = None
    second_look: bool = False
    sound: str | None = None


@dataclass(frozen=True)
class Confusion:
    """n examples of the class `truth`, that share of it, were taken for `predicted`."""

    truth: str
    predicted: str
    n: int
    share: float
    tiles: list[Tile]


@dataclass(frozen=True)
class Gallery:
    """Everything that is shown; n_more: the mistakes that are not."""

    confusions: list[Confusion]
    typical: list[Tile]
    n_more: int


def pictures_of(batches: BatchesOf) -> PicturesOf:
    """The pictures at given positions, as the network sees them."""

    def pictures(positions: np.ndarray) -> np.ndarray:
        images = torch.cat([images for images, _ in batches(positions)])
        found: np.ndarray = images.permute(0, 2, 3, 1).contiguous().numpy()
        return found

    return pictures


def heat_of(model: Classifier, pictures: PicturesOf, device: torch.device) -> HeatOf:
    """Grad-CAM of pictures for given classes."""

    def heat(positions: np.ndarray, class_indices: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(pictures(positions)).permute(0, 3, 1, 2)
        named = torch.from_numpy(class_indices)
        found: np.ndarray = grad_cam(model, images.to(device), named.to(device)).cpu().numpy()
        return found

    return heat


def confusions(tested: Answered) -> list[tuple[int, int, np.ndarray]]:
    """(true class, predicted class, positions), the most frequent first, most confident first."""
    wrong = np.flatnonzero(tested.predicted != tested.labels)
    pairs: dict[tuple[int, int], list[int]] = {}
    for i in wrong[np.argsort(-tested.confidence[wrong], kind="stable")]:
        pairs.setdefault((int(tested.labels[i]), int(tested.predicted[i])), []).append(int(i))
    ranked = sorted(pairs.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(truth, predicted, np.array(positions)) for (truth, predicted), positions in ranked]


def typical(tested: Answered, n: int) -> np.ndarray:
    """Positions of the most confidently right example of each class, of n classes at most."""
    right = tested.predicted == tested.labels
    best = []
    for label in range(len(tested.classes)):
        mine = np.flatnonzero(right & (tested.labels == label))
        if len(mine):
            best.append(int(mine[np.argmax(tested.confidence[mine])]))
    return np.array(best[:n], dtype=int)


def gallery_of(tested: Answered, *, trusted: bool) -> Gallery:
    """Choose what is shown: mistakes by kind, each once, and the surest right answers.

    trusted: whether probabilities mean what they say, so that a confident mistake is a reason to
    look at the label again.
    """
    ranked = confusions(tested)
    counts = np.bincount(tested.labels, minlength=len(tested.classes))
    shown = [
        Confusion(
            truth=tested.classes[truth],
            predicted=tested.classes[predicted],
            n=len(positions),
            share=float(len(positions) / counts[truth]),
            tiles=tiles(tested, positions[:N_PER_CONFUSION], trusted=trusted),
        )
        for truth, predicted, positions in ranked[:N_CONFUSIONS]
    ]
    n_wrong = sum(len(positions) for _, _, positions in ranked)
    return Gallery(
        confusions=shown,
        typical=tiles(tested, typical(tested, N_TYPICAL), trusted=trusted),
        n_more=n_wrong - sum(len(confusion.tiles) for confusion in shown),
    )


def tiles(tested: Answered, positions: np.ndarray, *, trusted: bool) -> list[Tile]:
    """The examples at the positions as they are shown."""
    if not len(positions):
        return []
    pictures = tested.pictures(positions)
    heats: list[np.ndarray | None] = [None] * len(positions)
    with suppress(ValueError):  # transformers have no feature maps
        heats = list(tested.heat(positions, tested.predicted[positions]))
    shown = []
    for i, picture, heat in zip(positions, pictures, heats, strict=True):
        row = tested.probabilities[i]
        best = np.argsort(-row, kind="stable")[:3]
        wrong = best[0] != tested.labels[i]
        shown.append(
            Tile(
                path=str(tested.paths[i]),
                truth=tested.classes[tested.labels[i]],
                top=[(tested.classes[k], float(row[k])) for k in best],
                picture=thumbnail_uri(picture, shape=tested.shape),
                heat=None
                if heat is None
                else thumbnail_uri(overlay(picture, heat), shape=tested.shape),
                second_look=bool(trusted and wrong and row[best[0]] >= SURE),
                sound=tested.sound(str(tested.paths[i])) if wrong else None,
            )
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
