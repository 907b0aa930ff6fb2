"""The table of features says of known sounds what is known of them."""

import csv
from pathlib import Path

import librosa
import numpy as np
import pytest

from render.features import COLUMNS, FeatureJob, describe
from render.settings import RenderSettings
from render.sources.folders import Recording
from tests.render_helpers import SR, cli, noise, tone, write

SETTINGS = RenderSettings()


def described(path: Path) -> dict[str, float]:
    """The row of one recording."""
    return describe(FeatureJob(Recording(path, path.name, "x", name=path.stem), SETTINGS)).values


def test_there_are_57_columns() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 57


def test_a_tone_has_its_own_centroid_crossings_and_level(tmp_path: Path) -> None:
    row = described(write(tmp_path / "tone.wav", tone(1000, 5.0)))
    assert row["spectral_centroid_mean"] == pytest.approx(1000, rel=0.02)
    assert row["zero_crossing_rate_mean"] == pytest.approx(2 * 1000 / SR, rel=0.02)
    assert row["rms_mean"] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert row["rolloff_mean"] == pytest.approx(1000, rel=0.03)


def test_clicks_have_their_tempo(tmp_path: Path) -> None:
    y = librosa.clicks(times=np.arange(0, 20, 0.5), sr=SR, length=20 * SR)
    row = described(write(tmp_path / "clicks.wav", y.astype(np.float32)))
    assert row["tempo"] == pytest.approx(120, rel=0.03)


def test_values_are_librosas(tmp_path: Path) -> None:
    y = noise(4.0)
    row = described(write(tmp_path / "noise.wav", y, subtype="FLOAT"))
    mfcc = librosa.feature.mfcc(y=y, sr=SR, n_mfcc=20)
    expected = {
        "mfcc1_mean": mfcc[0].mean(),
        "mfcc20_var": mfcc[19].var(),
        "spectral_bandwidth_mean": librosa.feature.spectral_bandwidth(y=y, sr=SR).mean(),
        "spectral_contrast_mean": librosa.feature.spectral_contrast(y=y, sr=SR).mean(),
        "chroma_stft_var": librosa.feature.chroma_stft(y=y, sr=SR, tuning=0.0).var(),
        "rms_var": librosa.feature.rms(y=y).var(),
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-3), name


def test_every_minute_of_a_long_recording_counts(tmp_path: Path) -> None:
    """A minute of one tone and a minute of another: the mean of both."""
    y = np.concatenate((tone(500, 60.0), tone(1500, 60.0)))
    row = described(write(tmp_path / "two.wav", y))
    assert row["spectral_centroid_mean"] == pytest.approx(1000, rel=0.03)


def test_the_command_writes_one_row_per_recording_and_names_the_rest(tmp_path: Path) -> None:
    for label, hz in (("low", 200), ("high", 2000)):
        for i in range(2):
            write(tmp_path / "audio" / label / f"{label}{i}.wav", tone(hz, 2.0 + i))
    write(tmp_path / "audio" / "low" / "short.wav", tone(200, 0.02))  # under one window
    (tmp_path / "audio" / "low" / "broken.wav").write_bytes(b"no sound")
    table = tmp_path / "features.csv"
    done = cli(tmp_path / "audio", "--features", table, "--jobs", 1)
    assert done.returncode == 3, done.stderr
    assert "left out: low/broken.wav: " in done.stdout
    assert not (tmp_path / "spectrograms").exists()
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["path", "label", "group", *COLUMNS]
    assert [row["path"] for row in rows] == [
        "high/high0.wav",
        "high/high1.wav",
        "low/low0.wav",
        "low/low1.wav",
        "low/short.wav",
    ]
    assert {row["label"] for row in rows} == {"high", "low"}
    assert all(np.isfinite(float(row[name])) for row in rows for name in COLUMNS)
