"""Several processes train as one: the same figures, one voice, and none left behind."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers import ROOT, interrupt, run_script, start_script
from train.models.backbone import create_backbone

pytestmark = pytest.mark.slow  # whole commands, or as long as these

# Layer normalisation, so that a share of a batch is normalised as the whole is.
FEW = (
    "--model", "test_convnext", "--image-size", "64", "--folds", "2", "--head-epochs", "4",
    "--finetune", "all", "--epochs", "2", "--learning-rate", "0.01", "--batch-size", "7",
    "--dropout", "0", "--crop-time", "1", "--crop-frequency", "1", "--precision", "32-true",
    "--accelerator", "cpu", "--balance", "loss", "--verbose",
)  # fmt: skip
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def options(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """A short training of head and all layers, from weights in a file."""
    weights = tmp_path_factory.mktemp("weights") / "w.pth"
    torch.manual_seed(0)
    torch.save(create_backbone("test_convnext").state_dict(), weights)
    return ("--data", stripes, "--weights", weights, *FEW)


def processes_of(parent: int) -> list[int]:
    """The processes that a process started, in their order."""
    done = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in done.stdout.split()]


def probabilities(run: Path) -> dict[tuple[str, str], list[float]]:
    """Those of each held-out picture, by part and path; each is there once."""
    with (run / "predictions.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    found = {(r["split"], r["path"]): [float(v) for v in list(r.values())[-3:]] for r in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="needs ps and signals")
def test_two_processes_end_as_one_would_even_after_one_was_killed(
    options: tuple[object, ...], tmp_path: Path
) -> None:
    """The other ends too, in one line; --resume starts both again."""
    alone = run_script("main.py", *options, "--out", tmp_path / "one", OMP_NUM_THREADS="1")
    assert alone.returncode == 0, alone.stderr
    pair = start_script("main.py", *options, "--out", tmp_path / "two", "--devices", 2)
    pair.until("fold 2/2  finetune epoch   1")
    os.kill(processes_of(pair.pid)[1], signal.SIGKILL)
    killed = pair.finish(60)
    assert killed.returncode == 1
    assert killed.stderr == "error: process 2 of 2 was ended by signal 9\n"
    assert "epoch   2" not in killed.stdout.split("fold 2/2  finetune")[1]
    run = tmp_path / "two" / "latest"
    resumed = run_script("main.py", "--resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.startswith("test_convnext, ")
    assert "2 x cpu" in resumed.stdout.splitlines()[0]
    assert "fold 1/2" not in resumed.stdout
    one, two = probabilities(tmp_path / "one" / "latest"), probabilities(run)
    assert one.keys() == two.keys()
    for key, values in one.items():
        np.testing.assert_allclose(two[key], values, atol=2e-4)
    first, second = (
        json.loads((folder / "latest" / "metrics.json").read_text())
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    assert first["test"]["accuracy"] == second["test"]["accuracy"]
    assert first["cross_validation"]["accuracy"] == second["cross_validation"]["accuracy"]
    assert first["cross_validation"]["loss"] == pytest.approx(
        second["cross_validation"]["loss"], rel=1e-3
    )


def test_under_torchrun_two_shares_move_the_weights_as_the_whole_batch_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         str(ROOT / "tests/train/devices/together_script.py")],
        cwd=ROOT, env=ONE_THREAD | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "rank 0 agrees" in done.stdout  # the other one has no voice


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nowhere"], "no image folder at nowhere"),
        (["--nodes", "2"], "--nodes 2: set MASTER_ADDR, MASTER_PORT, NODE_RANK"),
    ],
)
def test_bad_input_is_said_once(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run_script("main.py", "--devices", 2, "--accelerator", "cpu", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_reaches_every_process(options: tuple[object, ...], tmp_path: Path) -> None:
    pair = start_script("main.py", *options, "--out", tmp_path, "--devices", 2, "--epochs", 50)
    pair.until("fold 1/2  finetune epoch   1")
    children = processes_of(pair.pid)
    stderr = interrupt(pair, "fold 1/2  finetune epoch   1")
    assert stderr.strip().startswith("interrupted; go on with: python main.py --resume")
    assert children
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
