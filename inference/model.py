"""A model file at work: pictures of any size to the network's size, and these to probabilities."""

from dataclasses import dataclass

import numpy as np

from inference.clips import Preprocessing
from train.evaluate.calibration import probabilities_of
from train.models.network import Network


@dataclass(frozen=True)
class Model(Preprocessing):
    """A network and what its model file says of it."""

    network: Network

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return self.facts.classes

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """float64 (B, C), calibrated, of inputs as for `Network.logits`.

        Raises ValueError when the network's answer is none: its weights are damaged, or made so.
        """
        logits = self.network.logits(inputs)
        if logits.shape != (len(inputs), len(self.classes)):
            raise ValueError(
                f"the network's answer has the shape {logits.shape}; expected "
                f"{len(inputs)} rows of {len(self.classes)} classes"
            )
        probabilities = probabilities_of(logits, self.facts.temperature)
        if not np.isfinite(probabilities).all():
            raise ValueError(
                "the model's answer is not a number: its weights are damaged; train it again"
            )
        return probabilities
