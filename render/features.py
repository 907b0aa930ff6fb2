"""A table of 57 features of each recording, to train on instead of pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.files import write_csv
from render.audio.decode import DecodeError, decode_stream
from render.audio.stream import windows
from render.parallel import Workers, run_all
from render.settings import RenderSettings
from render.sources.folders import Recording

N_MFCC = 20
# Of each the mean and the variance over the frames; with the tempo, 57 numbers. The names are those
# of GTZAN's features_30_sec.csv, where that table has them.
FRAME_FEATURES: tuple[str, ...] = ("chroma_stft", "rms", "spectral_centroid", "spectral_bandwidth")
FRAME_FEATURES += ("rolloff", "zero_crossing_rate", "spectral_contrast", "tonnetz")
FRAME_FEATURES += tuple(f"mfcc{i}" for i in range(1, N_MFCC + 1))
COLUMNS = ("tempo", *(f"{name}_{part}" for name in FRAME_FEATURES for part in ("mean", "var")))
BLOCK_SECONDS = 60.0  # analysed at once, so that memory does not grow with the recording


@dataclass(frozen=True)
class FeatureJob:
    """A recording whose features are to be computed."""

    recording: Recording
    settings: RenderSettings


@dataclass(frozen=True)
class FeatureRow:
    """A recording's features by COLUMNS, or the reason why there are none."""

    path: str
    label: str
    group: str
    values: dict[str, float]
    reason: str = ""


def features(y: np.ndarray, settings: RenderSettings) -> dict[str, np.ndarray]:
    """Values of every frame feature, float (rows, frames) each, and "tempo" (1, 1) in beats/min.

    y: float32 (n,) at settings.sr. Frames of n_fft every hop_length samples; the mathematics and
    the other settings are librosa's defaults, tonnetz of the chroma of the Fourier transform.
    """
    import librosa

    sr, hop = settings.sr, settings.hop_length
    if len(y) < settings.n_fft:
        y = np.pad(y, (0, settings.n_fft - len(y)))
    S = np.abs(librosa.stft(y, n_fft=settings.n_fft, hop_length=hop))
    mel_db = librosa.power_to_db(librosa.feature.melspectrogram(S=S**2, sr=sr))
    chroma = librosa.feature.chroma_stft(S=S**2, sr=sr, tuning=0.0)
    onsets = librosa.onset.onset_strength(S=mel_db, sr=sr, hop_length=hop)
    tempo = librosa.feature.tempo(onset_envelope=onsets, sr=sr, hop_length=hop)
    values = {
        "tempo": tempo.reshape(1, 1),
        "chroma_stft": chroma,
        "rms": librosa.feature.rms(y=y, frame_length=settings.n_fft, hop_length=hop),
        "spectral_centroid": librosa.feature.spectral_centroid(S=S, sr=sr),
        "spectral_bandwidth": librosa.feature.spectral_bandwidth(S=S, sr=sr),
        "rolloff": librosa.feature.spectral_rolloff(S=S, sr=sr),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(
            y, frame_length=settings.n_fft, hop_length=hop
        ),
        "spectral_contrast": librosa.feature.spectral_contrast(S=S, sr=sr),
        "tonnetz": librosa.feature.tonnetz(chroma=chroma, sr=sr),
    }
    mfcc = librosa.feature.mfcc(S=mel_db, n_mfcc=N_MFCC)
    return values | {f"mfcc{i + 1}": mfcc[i : i + 1] for i in range(N_MFCC)}


def describe(job: FeatureJob) -> FeatureRow:
    """The recording's row of the table.

    Means and variances are over all frames of all its minutes; the tempo is their median.
    """
    r, settings = job.recording, job.settings
    group = r.group or r.name
    length = round(BLOCK_SECONDS * settings.sr)
    blocks = []
    try:
        for _, _, y in windows(decode_stream(r.path, settings.sr), length, length):
            blocks.append(features(y, settings))
        if not blocks:
            raise DecodeError("it has no samples")
    except (DecodeError, OSError) as error:
        return FeatureRow(r.source, r.label, group, {}, str(error))
    values = {"tempo": float(np.median([block["tempo"] for block in blocks]))}
    for name in FRAME_FEATURES:
        frames = np.concatenate([block[name].ravel() for block in blocks])
        values |= {f"{name}_mean": float(frames.mean()), f"{name}_var": float(frames.var())}
    return FeatureRow(r.source, r.label, group, values)


def write_features(
    recordings: list[Recording], file: Path, settings: RenderSettings, workers: Workers
) -> list[tuple[str, str]]:
    """Write the table of all recordings to `file`; (source, reason) of those left out, sorted.

    Raises ValueError for recordings with several labels, or if none can be decoded.
    """
    if any(r.labels for r in recordings):
        raise ValueError(
            "--features writes one label for each recording, and these have several: draw pictures"
        )
    jobs = (FeatureJob(r, settings) for r in recordings)
    rows = list(run_all(describe, jobs, len(recordings), workers))
    good = sorted((row for row in rows if not row.reason), key=lambda row: row.path)
    if not good:
        raise ValueError(f"none of {len(rows)} recordings can be decoded: {rows[0].reason}")
    cells = (
        [row.path, row.label, row.group, *(f"{row.values[name]:.6g}" for name in COLUMNS)]
        for row in good
    )
    write_csv(file, ("path", "label", "group", *COLUMNS), cells)
    return sorted((row.path, row.reason) for row in rows if row.reason)
