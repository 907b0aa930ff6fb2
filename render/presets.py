"""Rendering settings under a name: what published networks were trained to hear."""

import dataclasses

from render.settings import RenderSettings

# The front end of EfficientAT's and PaSST's networks, trained on AudioSet (F. Schmid, K. Koutini,
# G. Widmer, "Efficient large-scale audio tagging via Transformer-to-CNN knowledge distillation",
# ICASSP 2023): they see (ln(power + 1e-5) + 4.5) / 5. The levels 0 to 255 of our pictures are the
# decibels -50 to 40 of power + 1e-5, whatever the clip: 0.353 dB a level, loudness kept.
AUDIOSET = RenderSettings(
    sr=32_000,
    n_fft=1024,
    win_length=800,
    window="hann-symmetric",
    hop_length=320,
    edges="mirror",
    preemphasis=0.97,
    n_mels=128,
    mel_scale="kaldi",
    fmin=0.0,
    fmax=15_000.0,
    log_offset=1e-5,
    ref="10000",
    top_db=90.0,
    colormap="gray",
)
PRESETS = {"audioset": AUDIOSET}


def arguments_of(preset: str) -> list[str]:
    """The flags that a preset stands for: what differs from the defaults."""
    flags: list[str] = []
    for name, value in differences(PRESETS[preset], RenderSettings()).items():
        flags += [f"--{name.replace('_', '-')}", str(value)]
    return flags


def differences(settings: RenderSettings, other: RenderSettings) -> dict[str, object]:
    """The fields by name in which `settings` differs from `other`, with its own values."""
    ours, theirs = dataclasses.asdict(settings), dataclasses.asdict(other)
    return {name: value for name, value in ours.items() if value != theirs[name]}
