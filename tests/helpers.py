"""What several tests need: scripts run as a person runs them, and small real image folders."""

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from data.images.read import ImageSpec
from tests.warm import Command
from train.models.facts import ModelFacts

ROOT = Path(__file__).resolve().parent.parent
# A network that reads 64x64 pictures in milliseconds; random weights need no download.
TINY = ("--model", "test_efficientnet", "--no-pretrained", "--image-size", "64")
# Enough for it to tell stripes apart from random weights, in a few seconds.
SHORT = (
    "--folds", "2", "--epochs", "10", "--patience", "10", "--learning-rate", "0.05",
    "--batch-size", "8", "--dropout", "0",
)  # fmt: skip


class Run(NamedTuple):
    """A finished training: its folder and what it printed."""

    folder: Path
    stdout: str


def start_script(script: str, *args: object, cwd: Path = ROOT, **env: str) -> Command:
    """Begin `python <project>/<script> args` as a person does; the hub is never asked."""
    return Command([ROOT / script, *args], cwd=cwd, env=os.environ | {"HF_HUB_OFFLINE": "1"} | env)


def run_script(
    script: str, *args: object, cwd: Path = ROOT, timeout: float = 300, **env: str
) -> "subprocess.CompletedProcess[str]":
    """Run `python <project>/<script> args` to its end."""
    return start_script(script, *args, cwd=cwd, **env).finish(timeout)


def start_module(module: str, *args: object) -> Command:
    """Begin `python -m module args` in the project's folder as a person does."""
    return Command(["-m", module, *args], env=os.environ | {"HF_HUB_OFFLINE": "1"})


def run_module(module: str, *args: object) -> "subprocess.CompletedProcess[str]":
    """Run `python -m module args` to its end."""
    return start_module(module, *args).finish()


def interrupt(command: Command, line: str) -> str:
    """What a command says on stderr when Ctrl-C comes as it prints a line that begins so.

    Its exit code must be 130.
    """
    command.until(line)
    command.send_signal(signal.SIGINT)
    done = command.finish(120)
    assert done.returncode == 130, done.stderr
    return done.stderr


def write_stripes(folder: Path, n_recordings: int = 8, n_clips: int = 2, seed: int = 0) -> Path:
    """Write folder/<class>/<recording>__<clip>.png: three classes, each bright in its own third.

    96x48 pictures of noise with a bright band low, in the middle or high: a class is learnt from
    its band, and clips of a recording share the band's exact rows.
    """
    rng = np.random.default_rng(seed)
    for label, top in (("high", 4), ("low", 36), ("middle", 20)):
        (folder / label).mkdir(parents=True)
        for recording in range(n_recordings):
            offset = int(rng.integers(-3, 4))
            for clip in range(n_clips):
                pixels = rng.integers(0, 90, (48, 96), dtype=np.uint8)
                pixels[top + offset : top + offset + 8] += 150
                name = f"{label}{recording}__{clip}.png"
                Image.fromarray(pixels).convert("RGB").save(folder / label / name)
    return folder


def facts_of_pictures(width: int, height: int, **others: Any) -> ModelFacts:
    """The facts of a model of two classes of pictures of this size, with `others` in place."""
    spec = ImageSpec(width, height, (width, height), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    facts = ModelFacts("test_resnet", "last", ("a", "b"), spec, temperature=1.0)
    return replace(facts, **others)
