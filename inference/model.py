"""A model file at work: pictures at the network's size, as `clips` makes them, to probabilities."""

from dataclasses import dataclass

import numpy as np

from inference.clips import Preprocessing
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
        return self.calibrated(self.network.logits(inputs), len(inputs))

    def calibrated(self, logits: np.ndarray, n_inputs: int) -> np.ndarray:
        """float64 (B, C): the probabilities that logits (B, C) of B inputs stand for.

        Raises ValueError as `probabilities`.
        """
        if logits.shape != (n_inputs, len(self.classes)):
            raise ValueError(
                f"the network's answer has the shape {logits.shape}; expected "
                f"{n_inputs} rows of {len(self.classes)} classes"
            )
        probabilities = self.facts.probabilities(logits)
        if not np.isfinite(probabilities).all():
            raise ValueError(
                "the model's answer is not a number: its weights are damaged; train it again"
            )
        return probabilities
