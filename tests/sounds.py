"""Sounds whose class is known because it was written: low notes or high notes."""

from pathlib import Path

import numpy as np
import soundfile

SR = 8000
# A clip of a second, small enough to train on in seconds.
RENDER = (
    "--sr", "8000", "--n-fft", "512", "--hop-length", "128", "--clip-seconds", "1",
    "--n-mels", "48",
)  # fmt: skip
NOTES = {"high": (1500.0, 3000.0), "low": (150.0, 300.0)}  # Hz


def notes(label: str, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Four decaying notes a second of NOTES[label], each with a second tone: float32 (n,)."""
    low, high = NOTES[label]
    t = np.arange(SR // 4) / SR
    played = []
    for _ in range(round(4 * seconds)):
        hz = rng.uniform(low, high)
        note = np.sin(2 * np.pi * hz * t) + 0.3 * np.sin(2 * np.pi * 1.25 * hz * t)
        played.append(0.4 * note * np.exp(-rng.uniform(3, 9) * t))
    # Some recordings hiss, others do not: a codec that hisses more is no other kind of music.
    noise = 10 ** rng.uniform(-5, -2) * rng.standard_normal(len(played) * len(t))
    return (np.concatenate(played) + noise).astype(np.float32)


def write_sound(file: Path, label: str, seconds: float, seed: int) -> Path:
    """Write notes of a class as a sound file of the suffix's format."""
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, notes(label, seconds, np.random.default_rng(seed)), SR)
    return file


def write_collection(folder: Path, n_recordings: int = 10, seconds: float = 5) -> Path:
    """Write folder/<class>/<class>N.wav of both classes."""
    for number, label in enumerate(sorted(NOTES)):
        for i in range(n_recordings):
            write_sound(folder / label / f"{label}{i}.wav", label, seconds, 100 * number + i)
    return folder
