"""Pictures and clips of songs with what a model says of them: where every explanation starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data.images.read import at_canvas, read_picture, whole_picture
from inference.clips import Cutting, is_picture
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


def predict_pictures(model: Model, files: list[str], n_clips: int) -> PredictedPictures:
    """The model's answers to pictures, and to n_clips spread over each recording.

    A clip's path is the recording's with its first second, as song__20s.mp3. Files that are neither
    are left out.
    """
    spec = model.facts.image
    paths, pixels, left_out = [], [], []
    for path in files:
        try:
            for name, picture in _pictures_of(model, path, n_clips):
                paths.append(name)
                pixels.append(picture)
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


def _pictures_of(model: Model, path: str, n_clips: int) -> Iterator[tuple[str, np.ndarray]]:
    """(path, pixels at the canvas) of a picture, or of clips of a recording."""
    spec, file = model.facts.image, Path(path)
    if is_picture(path):
        yield path, read_picture(path, spec.canvas, spec.drawing)
        return
    for start, _, picture in model.drawn(path, Cutting(n_clips=n_clips)):
        name = file.with_name(f"{file.stem}__{start:.0f}s{file.suffix}")
        yield str(name), at_canvas(picture.convert("RGB"), picture.size, spec.canvas, spec.drawing)
