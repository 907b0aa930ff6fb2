"""train.leak: the points that a split by picture owes to clips of the same recording."""

import numpy as np
import pytest

from train.evaluate.leakage import leak_check, leak_lines


def recordings(n: int, clips: int, *, own: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, labels and groups: `own` is how much louder a recording is than its class."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(n), clips)
    labels = groups % 3
    mean = rng.normal(size=(3, 20))[labels] + own * rng.normal(size=(n, 20))[groups]
    return mean + rng.normal(size=(n * clips, 20)), labels, groups


def test_a_leak_is_measured_where_clips_are_alike() -> None:
    found = leak_check(*recordings(60, 4, own=3.0), n_folds=5, seed=0)
    assert found["by_picture"] > found["by_group"] + 0.15
    assert found["leak"] == pytest.approx(found["by_picture"] - found["by_group"])
    assert found["interval_95"][0] > 0
    assert f"worth {100 * found['leak']:.1f} points" in leak_lines(found)[-1]


def test_a_leak_is_measured_in_as_many_folds_as_classes_have_pictures() -> None:
    rows, _, groups = recordings(40, 2, own=3.0)
    assert leak_check(rows, groups % 20, groups, n_folds=5, seed=0)["n_groups"] == 40


def test_no_leak_is_found_where_there_is_none() -> None:
    found = leak_check(*recordings(200, 1, own=0.0), n_folds=5, seed=0)
    low, high = found["interval_95"]
    assert low <= 0 <= high and abs(found["leak"]) < 0.05
