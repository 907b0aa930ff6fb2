"""Seeds of parts of one run that do not repeat each other."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What randomness is for: no two streams of a run share a seed."""

    START = 0  # weights that no file gives
    HEAD = 1
    FINETUNE = 2
    RATE = 3  # the learning rate finder's batches


def derived_seed(
    seed: int, stream: Stream, *, fold: int = 0, epoch: int = 0, process: int = 0
) -> int:
    """A seed in [0, 2**63) of one epoch of one stream of one fold, in one process.

    By numpy's SeedSequence, whose states do not collide where sums and products of seeds, folds and
    epochs do: with those, the head of a fold had the seed of the next fold.
    """
    sequence = np.random.SeedSequence([seed, fold, stream, epoch, process])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
