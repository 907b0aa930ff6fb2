"""Pictures and labels in batches: the same for the same seed, whatever the number of threads."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

import numpy as np
import torch

from data.images.augment import Augmentation, changed, crop_windows, draws_of
from data.images.picture_array import PictureArray
from data.images.read import ImageSpec
from data.images.transforms import whole

Batch = tuple[torch.Tensor, torch.Tensor]
NONE = Augmentation()
SLICE = 4  # pictures that a thread makes at a time
AHEAD = 3  # batches that are being made while the network is busy with one


@dataclass(frozen=True)
class Pictures:
    """Batches of pictures at the network's size: uint8 (B, 3, height, width), int64 (B,) labels.

    labels: int64 (n,), or of several labels float32 (n, C), as then the batches'; threads: how many
    make them, 0 for as many as there are cores.
    """

    decoded: PictureArray
    labels: np.ndarray
    spec: ImageSpec
    augmentation: Augmentation = NONE
    threads: int = 0

    @property
    def digests(self) -> np.ndarray | None:
        """What each picture is known by, bytes (n,); None where its pixels were not measured."""
        known = self.decoded.prints.digests
        return known if len(known) == len(self.labels) else None

    def batches(
        self,
        positions: np.ndarray,
        *,
        batch_size: int,
        seed: int | None = None,
        pin: bool = False,
        share: tuple[int, int] = (0, 1),
    ) -> "Batches":
        """Batches over `positions`: in order and whole, or with a seed shuffled and augmented.

        share: (i, n) for the i-th of n parts of every batch, which can be empty; together they are
        what one process has. pin: in memory from which a GPU copies while it computes.
        """
        return Batches(self, positions, batch_size, seed, pin, share)

    @torch.inference_mode()  # where batches are for evaluation, it may not be left
    def fill(self, images: torch.Tensor, positions: np.ndarray, draws: np.ndarray | None) -> None:
        """Set images uint8 (B, 3, height, width): whole, or by draws (B, N_DRAWS) augmented."""
        canvases = [self.decoded[i] for i in positions]
        if draws is not None:
            canvases = self._cropped(canvases, draws)
        for image, canvas in zip(images, canvases, strict=True):
            # A copy: torch resizes only whole arrays fast, and warns of those it must not write to.
            image.copy_(whole(torch.from_numpy(np.array(canvas)).permute(2, 0, 1), self.spec))
        if draws is not None and (other := changed(images, draws, self.augmentation)) is not images:
            images.copy_(other)

    def _cropped(self, canvases: list[np.ndarray], draws: np.ndarray) -> list[np.ndarray]:
        width, height = self.spec.canvas
        how = self.augmentation
        windows = crop_windows(
            draws[:, :4], height, width, min_time=how.crop_time, min_frequency=how.crop_frequency
        )
        return [
            canvas[top : top + height, left : left + width]
            for canvas, (top, left, height, width) in zip(canvases, windows.tolist(), strict=True)
        ]


class Batches:
    """One pass over positions of the pictures; the next batches are made while one is used."""

    def __init__(
        self,
        pictures: Pictures,
        positions: np.ndarray,
        batch_size: int,
        seed: int | None,
        pin: bool,
        share: tuple[int, int],
    ) -> None:
        self._pictures, self._seed, self._pin = pictures, seed, pin
        if seed is not None:
            positions = np.random.default_rng(seed).permutation(positions)
        self._positions = positions
        n = len(positions)
        n_batches = max(1, -(-n // batch_size))
        if n_batches > 1 and n % batch_size == 1 and seed is not None:
            n_batches -= 1  # batch normalisation cannot train on a batch of one
        ends = [min((i + 1) * batch_size, n) for i in range(n_batches - 1)] + [n]
        part, n_parts = share
        self._spans = [
            (start + (end - start) * part // n_parts, start + (end - start) * (part + 1) // n_parts)
            for start, end in zip([0, *ends[:-1]], ends, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._spans)

    def __iter__(self) -> Iterator[Batch]:
        waiting: deque[tuple[Batch, list[Future[None]]]] = deque()
        # torch's own threads, one team for each of these, would only be in each other's way.
        threads = self._pictures.threads or cpu_count()
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                for start, end in self._spans:
                    waiting.append(self._begin(pool, start, end))
                    if len(waiting) > AHEAD:
                        yield _finished(*waiting.popleft())
                while waiting:
                    yield _finished(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _begin(
        self, pool: ThreadPoolExecutor, start: int, end: int
    ) -> tuple[Batch, list[Future[None]]]:
        """A batch and the jobs that are filling it."""
        pictures, spec = self._pictures, self._pictures.spec
        positions = self._positions[start:end]
        images = torch.empty(
            (end - start, 3, spec.height, spec.width),
            dtype=torch.uint8,
            pin_memory=self._pin,
            memory_format=torch.channels_last,
        )
        draws = None if self._seed is None else draws_of(self._seed, start, end - start)
        jobs = []
        for i in range(0, end - start, SLICE):
            part = slice(i, i + SLICE)
            some = None if draws is None else draws[part]
            jobs.append(pool.submit(pictures.fill, images[part], positions[part], some))
        return (images, torch.from_numpy(pictures.labels[positions])), jobs


def _finished(batch: Batch, jobs: list[Future[None]]) -> Batch:
    for job in jobs:
        job.result()
    return batch
