"""bench.accuracy and bench.ablation: figures by hand, and a real small comparison of options."""

from pathlib import Path

import numpy as np
import pytest

from bench import accuracy
from bench.accuracy import summary, together
from tests.helpers import TINY, run_module


def test_networks_together_answer_by_the_mean_of_calibrated_probabilities() -> None:
    labels = np.array([0, 1])
    sure = accuracy.Tested(
        2 * np.log([[0.6, 0.4], [0.9, 0.1]]), labels, 2.0
    )  # 0.6, 0.4 once calibrated
    other = accuracy.Tested(np.log([[0.3, 0.7], [0.05, 0.95]]), labels, 1.0)
    found = together([{"refit": sure}, {"refit": other}])["refit"]
    np.testing.assert_allclose(np.exp(found.logits), [[0.45, 0.55], [0.475, 0.525]])
    assert (found.accuracy, found.temperature) == (0.5, 1.0)
    assert together([{"refit": sure}]) == {"refit": sure}


def test_the_interval_is_that_of_students_t() -> None:
    rows = [
        accuracy.Tested(np.eye(4)[[0, 0, 0, 0]], np.array([0] * n + [1] * (4 - n)), 1.0)
        for n in (2, 3)
    ]
    # mean 0.625, deviation 0.177; the t quantile of one degree of freedom is 12.706
    assert summary(rows).startswith("accuracy 0.6250 ± 0.1768 (95 % interval of the mean -0.963 to")


@pytest.mark.slow
def test_an_option_is_compared_with_none_on_held_out_pictures(stripes: Path) -> None:
    command = ["--data", str(stripes), *TINY]
    command += ["--folds", "2", "--batch-size", "8", "--learning-rate", "0.05", "--dropout", "0"]
    tries = ["--try", "--epochs 8 --patience 8", "--try", "--epochs 1 --learning-rate 1e-9"]
    done = run_module("bench.ablation", *command, *tries)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()[1:]
    assert said[0] == "38 pictures held out in 2 folds, 1 seeds"
    learnt, not_learnt = (float(line.split()[1]) for line in said[1:])
    assert learnt > 0.8 and not_learnt < 0.6
    assert f"({100 * (not_learnt - learnt):+.1f} points)" in said[2]


def test_a_wrong_option_to_try_is_said_before_anything_is_computed() -> None:
    done = run_module("bench.ablation", "--try", "", "--try", "--mixupp 1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--mixupp" in done.stderr and len(done.stderr.splitlines()) == 1
