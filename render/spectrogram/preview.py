"""A recording's first clips with axes in seconds and hertz, for people to look at."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from render.audio.stream import fill, windows
from render.settings import RenderSettings
from render.spectrogram import spectra
from render.spectrogram.image import brightness
from render.spectrogram.spectra import Clip

MOST = 4  # clips shown
LEAST_GAP = 0.08  # of the vertical axis between two labels that do not touch


def preview(path: Path, settings: RenderSettings, out: Path) -> Path:
    """Draw up to 4 clips of the recording, one row each, a column per channel; the file's path.

    The file is <out>/<recording>.preview.png.
    """
    import matplotlib

    from common.plots import empty_figure, save_figure
    from render.audio.decode import decode_stream

    n = settings.clip_samples
    clips: list[tuple[int, np.ndarray]] = []
    for start, _, y in windows(decode_stream(path, settings.sr), n, n):
        clips.append((start, fill(y, n, settings.short)))
        if len(clips) == MOST:
            break
    if not clips:
        raise ValueError(f"{path}: it has no samples")
    layers, colormap = settings.layers, matplotlib.colormaps[settings.colormap]
    figure = empty_figure(7 * len(layers), 2.6 * len(clips))
    axes = figure.subplots(len(clips), len(layers), squeeze=False)
    for row, (start, y) in zip(axes, clips, strict=True):
        for ax, (name, n_fft) in zip(row, layers, strict=True):
            values = brightness(Clip(y, settings), name, n_fft)
            first = start / settings.sr
            ticks, labels = frequency_ticks(name, n_fft, len(values), settings)
            seconds = (values.shape[1] - 1) * settings.hop_length / settings.sr
            extent = (first, first + seconds, 0, len(values))
            ax.imshow(
                values, colormap, origin="lower", aspect="auto", extent=extent, vmin=0, vmax=1
            )
            ax.set_yticks(ticks, labels)
            ax.set_xlabel("time (s)")
            ax.set_ylabel("Hz" if name in spectra.POWERS else "")
            ax.set_title(f"{name}, n_fft {n_fft}", fontsize=9)
    target = out / f"{path.stem}.preview.png"
    save_figure(figure, target)
    return target


def frequency_ticks(
    name: str, n_fft: int, bands: int, settings: RenderSettings
) -> tuple[list[float], list[str]]:
    """Where on the vertical axis (in bands from below) which frequency or row is named."""
    top = settings.sr / 2 if settings.fmax is None else settings.fmax
    marks = np.array([110, 220, 440, 1000, 2000, 4000, 8000, 16_000])
    if name == "mel":
        to_mel = spectra.hz_to_kaldi_mel if settings.mel_scale == "kaldi" else spectra.hz_to_mel
        low, high = to_mel(np.array([settings.fmin, top]))
        rows = (to_mel(marks) - low) / (high - low) * (bands + 1) - 0.5
    elif name in ("log", "cqt"):
        low = max(settings.fmin, 32.703) if name == "log" else 32.703
        octaves = np.log2(top / low) if name == "log" else 7
        rows = np.log2(marks / low) / octaves * bands + (0.5 if name == "cqt" else 0)
    elif name == "stft":
        first = int(np.ceil(settings.fmin * n_fft / settings.sr))
        rows = marks * n_fft / settings.sr - first + 0.5
    else:
        names = ["C", "D", "E", "F", "G", "A", "B"] if name == "chroma" else ["1", str(bands)]
        places = [0, 2, 4, 5, 7, 9, 11] if name == "chroma" else [0, bands - 1]
        return [place + 0.5 for place in places], names
    inside = (rows >= 0) & (rows <= bands)
    return rows[inside].tolist(), [f"{mark}" for mark in marks[inside]]


def first_ticks(settings: RenderSettings, least_gap: float) -> list[tuple[float, str]]:
    """(place from below in [0, 1], label) on the vertical axis of a picture's first channel.

    least_gap: part of the axis that is at least between two labels.
    """
    own = replace(settings, size="")
    name, n_fft = own.layers[0]
    ticks: list[tuple[float, str]] = []
    for place, label in zip(*frequency_ticks(name, n_fft, own.height, own), strict=True):
        if not ticks or place / own.height - ticks[-1][0] > least_gap:
            ticks.append((place / own.height, label))
    return ticks


def hertz_labels(settings: RenderSettings) -> list[tuple[float, str]]:
    """`first_ticks` of the pages, where the unit stands behind each number."""
    unit = " Hz" if settings.layers[0][0] in spectra.POWERS else ""
    return [(place, f"{label}{unit}") for place, label in first_ticks(settings, LEAST_GAP)]
