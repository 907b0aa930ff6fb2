"""What is logged of an epoch arrives where people look for it."""

import os
import subprocess
import sys
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.helpers import ROOT
from train.loop.loggers import EpochLog
from train.loop.state import EpochRow

ROW = EpochRow("finetune", 1, 0.1, 2.0, validation_loss=1.5, validation_accuracy=0.25)


def test_tensorboard_has_every_curve_of_every_fold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = EpochLog(tmp_path, 2, options={}, verbose=True)
    log.epoch(1, ROW)
    log.epoch(2, replace(ROW, epoch=7, train_loss=0.5))
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert len(events.Tags()["scalars"]) == 8
    (point,) = events.Scalars("fold_2/finetune/train_loss")
    assert (point.step, point.value) == (7, 0.5)
    assert "finetune epoch   7  loss 0.500" in capsys.readouterr().out


def test_without_the_package_wandb_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.loop.loggers.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"--wandb genres: pip install wandb, or leave it out"):
        EpochLog(tmp_path, 2, wandb="genres", options={})
    assert not list(tmp_path.iterdir())


SCRIPT = """
import sys
from pathlib import Path
from train.loop.loggers import EpochLog
from train.loop.state import EpochRow
log = EpochLog(Path(sys.argv[1]), 2, wandb="genres", options={"epochs": 3})
log.epoch(1, EpochRow(*%r))
log.close()
"""


def test_wandb_works_offline(tmp_path: Path) -> None:
    """Not in requirements-dev.txt: timm would import it in every run, which takes a second."""
    pytest.importorskip("wandb")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT % (astuple(ROW),), tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"WANDB_MODE": "offline", "WANDB_SILENT": "true"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    content = file.read_bytes()
    for word in (b"genres", b"fold_1/finetune/validation_accuracy", b"0.25"):
        assert word in content
