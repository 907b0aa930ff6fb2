"""Small sounds for the tests of render."""

from pathlib import Path

import numpy as np
import soundfile

SR = 22_050


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
