"""Clips changed in pitch or tempo, for training only."""

import numpy as np


def augmented(y: np.ndarray, sr: int, kind: str, amount: float) -> np.ndarray:
    """`y` float32 (n,) shifted by `amount` semitones ("pitch") or `amount` times as fast.

    A stretched clip has round(n / amount) samples.
    """
    import librosa

    if kind == "pitch":
        return librosa.effects.pitch_shift(y, sr=sr, n_steps=amount)
    return librosa.effects.time_stretch(y, rate=amount)
