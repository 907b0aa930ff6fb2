"""The front end of AudioSet-trained networks, against one written from its definition."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from render import RenderSettings
from render.audio.clips import ClipSettings
from render.output.clip_table import settle
from render.presets import AUDIOSET, arguments_of, differences
from render.spectrogram import spectra
from render.spectrogram.image import levels, picture
from render.spectrogram.spectra import Clip

SR, SECONDS = 32_000, 10
DB = np.linspace(-50, 40, 256)  # what the levels mean, as the docstring of the preset says


def sound(gain: float = 1.0) -> np.ndarray:
    """Noise, two tones and a silent second: float32 (320,000,)."""
    rng = np.random.default_rng(3)
    t = np.arange(SECONDS * SR) / SR
    y = 0.05 * rng.standard_normal(len(t)) + 0.3 * np.sin(2 * np.pi * 220 * t)
    y += 0.1 * np.sin(2 * np.pi * (100 * t + 300 * t**2))
    y[SR : 2 * SR] = 0
    return (gain * y).astype(np.float32)


def reference(y: np.ndarray) -> np.ndarray:
    """ln(mel power + 1e-5), float64 (128, frames), as the networks' authors define it.

    Pre-emphasis; torch.stft with a symmetric Hann window of 800 in 1024, centred and reflected;
    Kaldi's triangles: for each band and bin, in loops, by the two slopes of mel-computations.cc.
    """
    x = torch.from_numpy(y.astype(np.float64))
    x = x[1:] - 0.97 * x[:-1]
    window = torch.hann_window(800, periodic=False, dtype=torch.float64)
    power = torch.stft(x, 1024, 320, 800, window, center=True, return_complex=True).abs() ** 2

    def mel(hz: float) -> float:
        return 1127 * float(np.log(1 + hz / 700))

    step = (mel(15_000) - mel(0)) / 129
    bank = np.zeros((128, 513))
    for band in range(128):
        left = mel(0) + band * step
        centre, right = left + step, left + 2 * step
        for k in range(512):
            m = mel(k * SR / 1024)
            if left < m < right:
                bank[band, k] = (m - left) / step if m <= centre else (right - m) / step
    return np.log(bank @ power.numpy() + 1e-5)


def test_the_front_end_is_the_authors_to_float_precision():
    y = sound()
    ours = np.log(spectra.mel(Clip(y, AUDIOSET), 1024).astype(np.float64) + 1e-5)
    theirs = reference(y)
    assert ours.shape == theirs.shape == (128, 1000)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)  # 1e-5 is added to float32 powers
    loud = theirs > np.log(1e-2)
    np.testing.assert_allclose(ours[loud], theirs[loud], atol=2e-5)


def test_a_level_is_a_number_of_decibels_whatever_the_clip():
    y = sound()
    image = picture(y, AUDIOSET)
    assert image.size == (1000, 128)
    grey = np.asarray(image.convert("RGB"))
    assert (grey[..., 0] == grey[..., 1]).all()
    expected = 10 / np.log(10) * reference(y)[::-1]  # the lowest band is the lowest row
    inside = (expected > -50) & (expected < 40)
    assert inside.mean() > 0.7
    step = 90 / 255
    assert np.abs(DB[grey[..., 0]] - expected)[inside].max() < 0.51 * step
    louder = levels(Clip(sound(10.0), AUDIOSET), "mel", 1024).astype(int)  # 20 dB
    quieter = levels(Clip(y, AUDIOSET), "mel", 1024)
    audible = (expected > -20) & (expected < 15)
    assert np.abs(louder - quieter - 20 / step)[audible].max() <= 1.2
    assert (levels(Clip(np.zeros_like(y), AUDIOSET), "mel", 1024) == 0).all()


def test_single_options_give_the_preset():
    names = [name.removeprefix("--").replace("-", "_") for name in arguments_of("audioset")[::2]]
    assert set(names) == set(differences(AUDIOSET, RenderSettings()))
    assert RenderSettings.from_dict(AUDIOSET.to_dict()) == AUDIOSET


def test_silence_beyond_the_ends_keeps_the_frames_with_pre_emphasis():
    s = RenderSettings(clip_seconds=1.0, preemphasis=0.97)
    y = np.random.default_rng(0).standard_normal(s.clip_samples).astype(np.float32)
    assert picture(y, s).size == (s.frames, 128)
    plain = RenderSettings(clip_seconds=1.0)
    tone = np.sin(2 * np.pi * 440 * np.arange(s.clip_samples) / s.sr).astype(np.float32)
    w = 2 * np.pi * 440 / s.sr
    gain = abs(1 - 0.97 * np.exp(-1j * w)) ** 2  # of the filter at 440 Hz
    inner = np.s_[:, 5:30]
    with_filter, without = (
        spectra.mel(Clip(tone, settings), 2048)[inner].max(axis=0) for settings in (s, plain)
    )
    np.testing.assert_allclose(with_filter / without, gain, rtol=0.02)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"win_length": 4096}, "win_length=4096"),
        ({"preemphasis": 1.5}, "preemphasis=1.5"),
        ({"log_offset": -1.0}, "--log-offset -1.0: must be"),
        ({"mel_scale": "bark"}, "--mel-scale bark: must be"),
        ({"edges": "wrap"}, "--edges wrap: must be"),
    ],
)
def test_a_wrong_setting_is_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        RenderSettings(**wrong)


def test_a_folder_of_an_older_program_goes_on(tmp_path):
    """Settings that it did not know are what they are by default."""
    settings, clips = RenderSettings(), ClipSettings()
    settle(tmp_path, settings, clips)
    file = tmp_path / "render.json"
    old = json.loads(file.read_text())
    for name in ("preemphasis", "edges", "mel_scale", "win_length", "window", "log_offset"):
        del old[name]
    file.write_text(json.dumps(old))
    settle(tmp_path, settings, clips)
    assert RenderSettings.from_dict(old) == settings
    with pytest.raises(ValueError, match=r"preemphasis 0\.0 -> 0\.97"):
        settle(tmp_path, AUDIOSET, clips)


def test_the_command_takes_a_preset_and_what_is_given_wins(tmp_path):
    for label in "ab":
        (tmp_path / "in" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "in" / label / "one.wav", sound()[: 4 * SR], SR)
    command = [
        sys.executable,
        "-m",
        "render",
        "--preset",
        "audioset",
        "--clip-seconds",
        "2",
        "--jobs",
        "1",
        "--out",
        str(tmp_path / "out"),
        str(tmp_path / "in"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = RenderSettings.from_json((tmp_path / "out" / "render.json").read_text())
    assert differences(found, AUDIOSET) == {"clip_seconds": 2.0}
    done = subprocess.run([*command[:4], "speech", *command[5:]], capture_output=True, text=True)
    assert done.returncode == 2 and "audioset" in done.stderr
