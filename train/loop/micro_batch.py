"""A batch in parts, no larger than the memory allows."""

import gc
import sys
from collections.abc import Callable

import torch

from common.streams import is_out_of_memory


class MicroBatch:
    """How many pictures go through the network at once: half as many after running out of memory.

    size: to begin with; None for whole batches.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size or sys.maxsize
        self._unsaid = False

    def run(self, n: int, work: Callable[[slice], None], begin: Callable[[], None]) -> None:
        """Call begin(), then work on parts, alike in size, of range(n); all over after a failure.

        Raises ValueError when not even a single picture fits.
        """
        while not self._fits(n, work, begin):
            at_once = min(self.size, n)
            if at_once == 1:
                raise ValueError(
                    "a single picture does not fit into the memory of the device: take a smaller "
                    "--image-size or another --model"
                )
            self.size, self._unsaid = -(-at_once // 2), True
            gc.collect()  # the failed attempt's tensors may hang on its traceback
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        if self._unsaid:
            print(
                f"note: out of memory; going on with {self.size} pictures at a time, whose "
                "gradients add up to those of a batch",
                flush=True,
            )
            self._unsaid = False

    def _fits(self, n: int, work: Callable[[slice], None], begin: Callable[[], None]) -> bool:
        begin()
        n_parts = -(-n // self.size)
        try:
            for i in range(n_parts):
                work(slice(n * i // n_parts, n * (i + 1) // n_parts))
        except RuntimeError as error:
            if is_out_of_memory(error):
                return False
            raise
        return True
