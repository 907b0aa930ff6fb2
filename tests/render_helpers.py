"""Small sounds for the tests of render, and runs of it on them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from render import RenderSettings
from render.audio.clips import ClipSettings
from render.collection import Summary, render_folder
from render.parallel import Workers
from render.sources.folders import from_folders, named
from tests.helpers import ROOT

SR = 22_050
FLAGS = ("--clip-seconds", "1", "--n-fft", "512", "--n-mels", "32")


def tone(hz: float, seconds: float = 1.0, sr: int = SR, amplitude: float = 0.5) -> np.ndarray:
    """A sine, float32 (n,)."""
    t = np.arange(round(seconds * sr)) / sr
    return (amplitude * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def noise(seconds: float = 1.0, sr: int = SR, seed: int = 0) -> np.ndarray:
    """White noise of root mean square 0.1, float32 (n,)."""
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * sr))).astype(np.float32)


def write(path: Path, y: np.ndarray, sr: int = SR, **options: str) -> Path:
    """Write a sound file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, y, sr, **options)
    return path


def collection(root: Path, classes: dict[str, int], seconds: float = 2.5) -> Path:
    """`root`/<class>/<class>NN.wav of noise, each its own; classes: how many of each."""
    for c, (label, count) in enumerate(classes.items()):
        for i in range(count):
            write(root / label / f"{label}{i:02d}.wav", noise(seconds, seed=100 * c + i))
    return root


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def render(
    audio: Path, out: Path, clips: ClipSettings | None = None, prune: bool = False, **settings
) -> Summary:
    """render_folder in this process, with the settings of FLAGS unless told otherwise."""
    s = RenderSettings(**({"clip_seconds": 1.0, "n_fft": 512, "n_mels": 32} | settings))
    found = list(named(from_folders(audio)))
    return render_folder(found, out, s, clips or ClipSettings(), Workers(jobs=1), prune)


def cli(*arguments: object, seed: str = "0") -> subprocess.CompletedProcess[str]:
    """`python -m render` with these arguments, as a person runs it."""
    command = [sys.executable, "-m", "render", *map(str, arguments)]
    env = os.environ | {"PYTHONHASHSEED": seed}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
