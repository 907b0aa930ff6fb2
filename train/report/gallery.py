"""Which tested pictures a reader is shown: mistakes, what is mixed up with what, typical ones."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from common.html import thumbnail_uri
from train.evaluate.answers import BatchesOf
from train.evaluate.calibration import LabelCalibration
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
    picture of a path sounds like; several: how a model that gives several labels does, whose labels
    are float32 (n, C).
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
    several: LabelCalibration | None = None

    @property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each example, int (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """Its probability, float (n,)."""
        return self.probabilities.max(axis=1)

    @property
    def named(self) -> np.ndarray:
        """Which classes are named of each example, bool (n, C): one, or those of several labels."""
        if self.several:
            return self.several.named(self.probabilities)
        named: np.ndarray = np.arange(len(self.classes)) == self.predicted[:, None]
        return named

    @property
    def has(self) -> np.ndarray:
        """Which classes each example has, bool (n, C)."""
        if self.several:
            return self.labels > 0
        has: np.ndarray = np.arange(len(self.classes)) == self.labels[:, None]
        return has

    @property
    def right(self) -> np.ndarray:
        """Whether all that is named of an example, and nothing else, is so: bool (n,)."""
        right: np.ndarray = (self.named == self.has).all(axis=1)
        return right


@dataclass(frozen=True)
class Tile:
    """One example as it is shown; picture, heat and sound are data URIs.

    truth: its labels; top: the likeliest three classes, or all that are named of several labels.

    second_look: whether its label should be looked at again.
    """

    path: str
    truth: tuple[str, ...]
    top: list[tuple[str, float]]
    picture: str
    heat: str | None = None
    second_look: bool = False
    sound: str | None = None


@dataclass(frozen=True)
class Confusion:
    """A kind of mistake in words, n examples with it, and their share of the whole, in words."""

    what: str
    whole: str
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
    right, has = tested.right, tested.has
    best: list[int] = []
    for label in range(len(tested.classes)):
        mine = np.setdiff1d(np.flatnonzero(right & has[:, label]), best)
        if len(mine):
            best.append(int(mine[np.argmax(tested.probabilities[mine, label])]))
    return np.array(best[:n], dtype=int)


def kinds_of_mistakes(tested: Answered) -> list[tuple[str, str, np.ndarray, int]]:
    """(what, of which whole, positions, size of the whole) of each kind, the commonest first."""
    sizes, classes = tested.has.sum(axis=0), tested.classes
    if not tested.several:
        return [
            (f"{classes[truth]} taken for {classes[predicted]}", classes[truth], at, sizes[truth])
            for truth, predicted, at in confusions(tested)
        ]
    kinds = []
    off = np.abs(tested.probabilities - tested.has)
    for label, name in enumerate(classes):
        has, named = tested.has[:, label], tested.named[:, label]
        for what, whole, wrong, n in (
            (f"{name} not found", f"what is {name}", has & ~named, sizes[label]),
            (f"{name} named", f"what is not {name}", named & ~has, len(has) - sizes[label]),
        ):
            at = np.flatnonzero(wrong)
            if len(at):
                kinds.append((what, whole, at[np.argsort(-off[at, label], kind="stable")], int(n)))
    return sorted(kinds, key=lambda kind: -len(kind[2]))


def gallery_of(tested: Answered, *, trusted: bool) -> Gallery:
    """Choose what is shown: mistakes by kind, each once, and the surest right answers.

    trusted: whether probabilities mean what they say, so that a confident mistake is a reason to
    look at the label again.
    """
    ranked = kinds_of_mistakes(tested)
    shown = [
        Confusion(
            what=what,
            whole=whole,
            n=len(positions),
            share=float(len(positions) / size),
            tiles=tiles(tested, positions[:N_PER_CONFUSION], trusted=trusted),
        )
        for what, whole, positions, size in ranked[:N_CONFUSIONS]
    ]
    n_wrong = sum(len(positions) for _, _, positions, _ in ranked)
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
    shown, right, named, has = [], tested.right, tested.named, tested.has
    for i, picture, heat in zip(positions, pictures, heats, strict=True):
        row, wrong = tested.probabilities[i], not right[i]
        best = np.argsort(-row, kind="stable")
        best = best[named[i][best]] if tested.several else best[:3]
        shown.append(
            Tile(
                path=str(tested.paths[i]),
                truth=tuple(tested.classes[k] for k in np.flatnonzero(has[i])),
                top=[(tested.classes[k], float(row[k])) for k in best],
                picture=thumbnail_uri(picture, shape=tested.shape),
                heat=None
                if heat is None
                else thumbnail_uri(overlay(picture, heat), shape=tested.shape),
                second_look=bool(trusted and wrong and not tested.several and row.max() >= SURE),
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
