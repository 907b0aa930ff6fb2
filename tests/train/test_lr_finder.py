"""--find-rate: the rate at which a loss falls fastest, of curves that are known and of training."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import SHORT, TINY, run_script
from tests.train.loop.test_cross_validation import Noise, start
from train.loop.state import Fold
from train.tune import lr_finder as rate_finder
from train.tune.lr_finder import RANGES, find_rate, suggestion

RATES = np.geomspace(1e-5, 10, 100)


def curve(middle: float, noise: float) -> np.ndarray:
    """A loss that falls around `middle` and explodes 30 times above it."""
    falls = 1 - 0.8 / (1 + (middle / RATES) ** 2)
    explodes = (RATES / (30 * middle)) ** 3
    return falls + explodes + noise * np.random.default_rng(0).normal(size=len(RATES))


@pytest.mark.parametrize("middle", [1e-3, 1e-2])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_steepest_place_of_a_known_curve_is_found(middle: float, noise: float) -> None:
    rate, smooth = suggestion(RATES, curve(middle, noise))
    assert middle / 2 < rate < 2 * middle
    assert len(smooth) == len(RATES)


def test_what_comes_after_the_loss_is_no_number_does_not_count() -> None:
    losses = curve(1e-3, 0.0)
    losses[80:] = np.nan
    losses[90:] = -100.0
    rate, smooth = suggestion(RATES, losses)
    assert 5e-4 < rate < 2e-3 and len(smooth) == 80


def test_a_loss_that_never_falls_is_an_error() -> None:
    with pytest.raises(ValueError, match="falls at no rate"):
        suggestion(RATES, np.linspace(1, 2, 100))
    with pytest.raises(ValueError, match="not a number"):
        suggestion(RATES, np.full(100, np.nan))


@pytest.mark.parametrize(("finetune", "phase"), [("none", "head"), ("all", "finetune")])
def test_only_the_training_part_is_stepped_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finetune: str, phase: str
) -> None:
    """With other labels and pictures to validate on, and no fewer steps, the losses are the same.

    The head alone sees them when it decides how long it trains, so it is given one epoch.
    """
    monkeypatch.setattr(rate_finder, "N_STEPS", 20)
    one_epoch = {"head_epochs": 1, "head_learning_rate": 0.1}  # at 5 it learns 18 pictures by heart
    found = []
    for changed in (False, True):
        pictures = Noise()
        if changed:
            pictures.images[18:] = 255 - pictures.images[18:]
            pictures.labels[18:] = (pictures.labels[18:] + 1) % 3
        trainer = start(tmp_path / str(changed), pictures, finetune=finetune, **one_epoch)
        trainer.run.mkdir()
        found.append(find_rate(trainer, Fold(1, np.arange(18), np.arange(18, 24))))
    (name, rates, losses), (_, _, others) = found
    assert name == phase and len(losses) == 20
    assert (rates[0], rates[-1]) == pytest.approx(RANGES[phase])
    assert np.array_equal(losses, others)
    assert losses[0] == pytest.approx(np.log(3), abs=0.4) and np.ptp(losses) > 0.1


def test_a_person_gets_one_line_and_a_figure(stripes: Path, tmp_path: Path) -> None:
    done = run_script("main.py", "--data", stripes, "--find-rate", "--out", tmp_path, *TINY, *SHORT)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1]
    assert line.startswith("try --learning-rate ") and "(now 0.05)" in line
    assert 1e-6 < float(line.split()[2]) < 1
    assert [path.name for path in tmp_path.iterdir()] == ["learning_rate.png"]
    with Image.open(tmp_path / "learning_rate.png") as figure:
        assert len(np.unique(np.asarray(figure))) > 10


def test_the_loss_of_several_labels_is_stepped_on(tmp_path: Path) -> None:
    """Before anything is learnt, each of three labels is a coin: three times ln 2, not ln 3."""
    pictures = Noise()
    pictures.labels = np.eye(3, dtype=np.float32)[pictures.labels]
    trainer = start(tmp_path / "run", pictures, finetune="none")
    trainer.run.mkdir()
    _, _, losses = find_rate(trainer, Fold(1, np.arange(18), np.arange(18, 24)))
    assert losses[0] == pytest.approx(3 * np.log(2), abs=0.3)
