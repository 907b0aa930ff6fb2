"""A run that is killed, or that fills the disk, goes on to the figures of an undisturbed one."""

import json
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import SHORT, TINY, Run, run_script, start_script
from tests.warm import Command

pytestmark = pytest.mark.slow  # whole commands, or as long as these

SECONDS = 300  # until a step that never comes is given up


def figures(run: Path) -> tuple[dict[str, object], str, str]:
    """Every figure, prediction and epoch; not the time."""
    metrics = json.loads((run / "metrics.json").read_text())
    metrics.pop("seconds")
    return metrics, (run / "predictions.csv").read_text(), (run / "history.csv").read_text()


def kill(command: Command, line: str = "") -> None:
    """End a command at once, when it has printed a line that begins so."""
    command.until(line)
    command.send_signal(signal.SIGKILL)
    assert command.finish().returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="limits the files of a running process")
def test_a_run_killed_twice_and_once_without_disk_ends_as_if_undisturbed(
    stripes: Path, trained: Run, tmp_path: Path
) -> None:
    from resource import RLIMIT_FSIZE, prlimit

    run = tmp_path / "latest"
    kill(
        start_script("main.py", "--verbose", "--data", stripes, "--out", tmp_path, *TINY, *SHORT),
        "fold 1/2  finetune epoch   4",
    )
    process = start_script("main.py", "--resume", run)
    process.until("fold 1/2  finetune epoch   7")
    prlimit(process.pid, RLIMIT_FSIZE, (100_000, 100_000))  # a checkpoint is 7 MB
    full = process.finish()
    assert full.returncode == 1
    [line] = full.stderr.splitlines()
    assert line.startswith(f"error: cannot write {run.resolve()}/checkpoints/current.pth: File too")
    assert line.endswith(f"go on with: python main.py --resume {run.resolve()}")
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
        "current.pth",
        "fingerprint.json",
    ]
    left = torch.load(run / "checkpoints" / "current.pth", weights_only=True)
    assert 7 <= left["epoch"] == len(left["history"]) < 10

    process = start_script("main.py", "--resume", run)
    process.until(f"fold 1/2  finetune epoch {left['epoch'] + 1:3d}")
    end = time.monotonic() + SECONDS
    while not (run / "model.pth").exists() and time.monotonic() < end:
        time.sleep(0.005)
    kill(process)  # while the report is being written

    last = run_script("main.py", "--resume", run)
    assert last.returncode == 0, last.stderr
    assert "finetune epoch" not in last.stdout  # though the run began with --verbose
    assert figures(run) == figures(trained.folder)
    again = run_script("main.py", "--resume", run)
    assert again.returncode == 1
    assert again.stderr.endswith(
        f"is no interrupted run: it has finished, with {run}/report.html\n"
    )


def test_an_edited_run_is_refused_and_says_why(stripes: Path, tmp_path: Path) -> None:
    """Its pictures, options and checkpoints are those that it began with, or it does not go on."""
    data, run = tmp_path / "data", tmp_path / "runs" / "latest"
    shutil.copytree(stripes, data)
    kill(
        start_script("main.py", "--verbose", "--data", data, "--out", run.parent, *TINY, *SHORT),
        "fold 2/2  finetune epoch   1",
    )
    picture, config = min(data.rglob("*.png")), run / "config.yaml"
    fold, split = run / "checkpoints" / "fold_1.pth", run / "split.csv"
    whole = {file: file.read_bytes() for file in (picture, config, fold, split)}
    other = Image.fromarray(255 - np.asarray(Image.open(picture)))
    edits = {
        picture.name: lambda: other.save(picture),
        "gone or unreadable": lambda: picture.write_bytes(b"no picture"),
        "--seed was 123, is 7": lambda: config.write_text(
            config.read_text().replace("seed: 123", "seed: 7")
        ),
        "fold_1.pth": lambda: fold.write_bytes(whole[fold][: len(whole[fold]) // 2]),
        "split.csv": lambda: split.write_bytes(whole[split][: len(whole[split]) // 2]),
    }
    for said, edit in edits.items():
        edit()
        done = run_script("main.py", "--resume", run)
        assert done.returncode == 1, said
        assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
        for file, content in whole.items():
            file.write_bytes(content)
    assert run_script("main.py", "--resume", run).returncode == 0
