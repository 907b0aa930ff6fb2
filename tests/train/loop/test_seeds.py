"""Seeds: the same for the same part of a run, others for every other part."""

from itertools import product

import numpy as np

from train.loop.seeds import Stream, derived_seed


def test_no_two_parts_of_a_run_share_a_seed() -> None:
    seeds = [
        derived_seed(seed, stream, fold=fold, epoch=epoch, process=process)
        for seed, stream, fold, epoch, process in product(
            (0, 1, 123), Stream, range(4), range(20), range(2)
        )
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_it_is_that_of_numpys_sequence_on_every_machine() -> None:
    state = np.random.SeedSequence([7, 2, 1, 5, 0]).generate_state(1, np.uint64)[0]
    assert derived_seed(7, Stream.HEAD, fold=2, epoch=5) == int(state) // 2
