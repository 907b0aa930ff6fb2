"""Pictures and labels in batches: the same for the same seed, whatever the number of workers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from data.image import ImageSpec, read_picture
from data.transforms import SpectrogramCrop, whole


class Pictures(Dataset):
    """Batches of pictures at the network's size: uint8 (B, 3, height, width), int64 (B,) labels.

    files: the picture files (n,); labels: int64 (n,); decoded: uint8 (n, H, W, 3) at the canvas
    size, or None to decode from the files each time; crop: the training augmentation.
    """

    def __init__(
        self,
        files: list[Path],
        labels: np.ndarray,
        spec: ImageSpec,
        *,
        decoded: np.ndarray | None,
        crop: SpectrogramCrop,
        workers: int,
    ) -> None:
        self.files = np.array([str(file) for file in files])  # an array: forks do not copy it
        self.labels, self.spec = labels, spec
        self.decoded, self.crop = decoded, crop
        self.workers = workers if decoded is None else 0

    def __getitem__(
        self, batch: tuple[int | None, np.ndarray]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch of (seed, positions): cropped at random by the seed, or whole if it is None."""
        seed, positions = batch
        canvases = [self._canvas(i) for i in positions]
        if seed is None:
            inputs = [whole(canvas, self.spec) for canvas in canvases]
        else:
            with torch.random.fork_rng(devices=[]):  # the caller's dropout draws stay untouched
                torch.default_generator.manual_seed(seed)  # torch.manual_seed seeds GPUs too
                inputs = [self.crop(canvas) for canvas in canvases]
        if not inputs:  # a share of a small batch
            inputs_shape = (0, 3, self.spec["height"], self.spec["width"])
            return torch.empty(inputs_shape, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
        images = torch.stack(inputs).contiguous(memory_format=torch.channels_last)
        return images, torch.from_numpy(self.labels[positions])

    def _canvas(self, i: int) -> torch.Tensor:
        if self.decoded is None:
            pixels = read_picture(self.files[i], self.spec["canvas"]).copy()
        else:
            pixels = self.decoded[i]
        return torch.from_numpy(pixels).permute(2, 0, 1)  # (3, H, W), a view

    def batches(
        self,
        positions: np.ndarray,
        *,
        batch_size: int,
        seed: int | None = None,
        pin: bool = False,
        share: tuple[int, int] = (0, 1),
    ) -> DataLoader:
        """A loader over `positions`: in order and whole, or with a seed shuffled and cropped.

        share: (i, n) for the i-th of n parts of every batch; such a part can be empty.
        """
        sampler = _SeededBatches(positions, batch_size, seed, share)
        return DataLoader(
            self, sampler=sampler, batch_size=None, num_workers=self.workers, pin_memory=pin,
            generator=torch.Generator(),  # else each pass draws from the caller's
        )  # fmt: skip


class _SeededBatches(Sampler):
    """(seed, positions) of each batch; a batch's seed depends on its number only."""

    def __init__(
        self,
        positions: np.ndarray,
        batch_size: int,
        seed: int | None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.seed, (self.part, n_parts) = seed, share
        if seed is not None:
            positions = np.random.default_rng(seed).permutation(positions)
        n_batches = max(1, -(-len(positions) // batch_size))
        if n_batches > 1 and len(positions) % batch_size == 1 and seed is not None:
            n_batches -= 1  # batch normalisation cannot train on a batch of one
        self.batches = [
            positions[i * batch_size : None if i == n_batches - 1 else (i + 1) * batch_size]
            for i in range(n_batches)
        ]
        self.batches = [
            batch[len(batch) * self.part // n_parts : len(batch) * (self.part + 1) // n_parts]
            for batch in self.batches
        ]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[int | None, np.ndarray]]:
        for number, positions in enumerate(self.batches):
            number += 500_009 * self.part  # else all parts would be cropped alike
            yield None if self.seed is None else (self.seed * 1_000_003 + number) % 2**63, positions
