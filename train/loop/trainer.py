"""What all folds of a training share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from lightning_fabric import Fabric

from train.config import TrainConfig
from train.loop.micro_batch import MicroBatch
from train.loop.state import Log
from train.models.classifier import Classifier


class Pictures(Protocol):
    """What training needs of the data stage: labels, and batches of any positions."""

    @property
    def labels(self) -> np.ndarray:
        """The label of each example, int64 (n,), or its labels, float32 (n, C)."""

    @property
    def digests(self) -> np.ndarray | None:
        """What each example is known by, bytes (n,); None where that is not known."""

    def batches(
        self, positions: np.ndarray, *, batch_size: int, seed: int | None = None, pin: bool = False
    ) -> Any:
        """Batches in order, or with a seed shuffled and augmented."""


@dataclass(frozen=True)
class EmbeddingCache:
    """Where embeddings are kept for later runs, and how many GiB they may take in all."""

    folder: Path
    limit_gib: float

    @property
    def graphs(self) -> Path:
        """The folder beside them for the ONNX graphs of architectures."""
        return self.folder / "graphs"


@dataclass(frozen=True)
class Trainer:
    """What all folds share; the first process alone logs.

    run: the folder of the run; micro_batch: how many pictures the memory holds, once that is known;
    cache: of embeddings, None where they are kept in the run's own folder alone.
    """

    fabric: Fabric
    model: Classifier
    pictures: Pictures
    config: TrainConfig
    run: Path
    log: Log
    micro_batch: MicroBatch
    cache: EmbeddingCache | None = None

    @classmethod
    def start(
        cls,
        fabric: Fabric,
        model: Classifier,
        pictures: Pictures,
        config: TrainConfig,
        run: Path,
        log: Log,
        cache: EmbeddingCache | None = None,
    ) -> "Trainer":
        """A trainer whose folds all start from `model`."""
        return cls(fabric, model, pictures, config, run, log, MicroBatch(config.micro_batch), cache)

    def batches(self, positions: np.ndarray, seed: int | None = None) -> Any:
        """Batches of pictures for this device."""
        return self._batches(positions, seed)

    def shares(self, positions: np.ndarray, seed: int) -> Any:
        """This process's share of each batch for training."""
        if self.fabric.world_size == 1:
            return self._batches(positions, seed)
        share = (self.fabric.global_rank, self.fabric.world_size)
        return self._batches(positions, seed, share=share)

    def _batches(self, positions: np.ndarray, seed: int | None, **options: Any) -> Any:
        pin = self.fabric.device.type == "cuda"
        return self.pictures.batches(
            positions, batch_size=self.config.batch_size, seed=seed, pin=pin, **options
        )
