"""A model file at work: pictures of any size to the network's size, and these to probabilities."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data.images.read import read_picture, whole_picture
from train.evaluate.calibration import probabilities_of
from train.evaluate.novelty import why_unfamiliar
from train.models.facts import ModelFacts
from train.models.network import Network


@dataclass(frozen=True)
class Model:
    """A network and what its model file says of it."""

    network: Network
    facts: ModelFacts

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return self.facts.classes

    @property
    def canvas(self) -> tuple[int, int]:
        """(width, height) at which the training's pictures were decoded."""
        return self.facts.image.canvas

    def read(self, path: str | Path) -> np.ndarray:
        """A picture file at the network's size: uint8 (height, width, 3)."""
        return whole_picture(read_picture(path, self.canvas), self.facts.image)

    def fit(self, picture: Image.Image) -> np.ndarray:
        """A rendered picture at the network's size, as if it had been written and read."""
        rgb = picture.convert("RGB")
        if rgb.size != self.canvas:
            rgb = rgb.resize(self.canvas, Image.Resampling.BILINEAR)
        return whole_picture(np.asarray(rgb), self.facts.image)

    def why_unsure(self, picture: np.ndarray) -> str | None:
        """Why a picture of the network's size is unlike the training's; None if it is not."""
        return why_unfamiliar(picture, self.facts.novelty)

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """float64 (B, C), calibrated, of inputs as for `Network.logits`."""
        return probabilities_of(self.network.logits(inputs), self.facts.temperature)
