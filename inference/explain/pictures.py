"""Pictures with what a model says of them, which every explanation starts from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data.images.read import read_picture, whole_picture
from inference.model import Model
from inference.prediction import LeftOut

BATCH = 32


@dataclass(frozen=True)
class PredictedPictures:
    """Pictures in order, and what the model says of them.

    pixels: uint8 (H, W, 3) each, at the size of the canvas; inputs: uint8 (n, height, width, 3), as
    the network sees them; probabilities: float (n, C). left_out: files that are no pictures.
    """

    classes: tuple[str, ...]
    backbone: str
    paths: tuple[str, ...]
    pixels: tuple[np.ndarray, ...]
    inputs: np.ndarray
    probabilities: np.ndarray
    left_out: tuple[LeftOut, ...]

    def images(self, part: slice) -> torch.Tensor:
        """Some of the inputs as torch has them, uint8 (k, 3, height, width)."""
        return torch.from_numpy(self.inputs[part]).permute(0, 3, 1, 2)

    def title(self, i: int) -> str:
        """Name, predicted class and its probability of the i-th picture."""
        best = int(self.probabilities[i].argmax())
        name, probability = self.classes[best], self.probabilities[i, best]
        return f"{Path(self.paths[i]).name}: {name} ({probability:.2f})"


def predict_pictures(model: Model, files: list[str]) -> PredictedPictures:
    """The model's answers to the files that are pictures; the others are left out."""
    spec = model.facts.image
    paths, pixels, left_out = [], [], []
    for path in files:
        try:
            pixels.append(read_picture(path, spec.canvas, spec.drawing))
            paths.append(path)
        except ValueError as error:
            left_out.append(LeftOut(path, str(error)))
    inputs = np.empty((len(pixels), spec.height, spec.width, 3), dtype=np.uint8)
    probabilities = np.empty((len(pixels), len(model.classes)))
    for start in range(0, len(pixels), BATCH):
        part = slice(start, start + BATCH)
        inputs[part] = [whole_picture(one, spec) for one in pixels[part]]
        probabilities[part] = model.probabilities(inputs[part])
    return PredictedPictures(
        model.classes,
        model.facts.backbone,
        tuple(paths),
        tuple(pixels),
        inputs,
        probabilities,
        tuple(left_out),
    )
