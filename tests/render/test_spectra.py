"""Representations: librosa's values, and what theory says of tones, clicks, silence and gain."""

import warnings

import librosa
import numpy as np
import pytest
from PIL import Image

from render import RenderSettings
from render.settings import REPRESENTATIONS, ROWS
from render.spectrogram import spectra
from render.spectrogram.image import brightness, palette, picture, png_bytes
from render.spectrogram.spectra import Clip
from tests.render_helpers import SR, noise, tone

SMALL = RenderSettings(clip_seconds=1.0)
Y = noise(1.0) + tone(440, 1.0)
FB = {"sr": SR, "hop_length": 512}


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(np.abs(theirs).max()))


@pytest.mark.parametrize(
    ("n_fft", "n_mels", "fmin", "fmax"), [(2048, 128, 0, 11025), (1024, 40, 50, 8000)]
)
def test_mel_is_librosas(n_fft, n_mels, fmin, fmax):
    s = RenderSettings(clip_seconds=1.0, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    facts = {"n_fft": n_fft, "n_mels": n_mels, "fmin": fmin, "fmax": fmax}
    close(spectra.mel(Clip(Y, s), n_fft), librosa.feature.melspectrogram(y=Y, **FB, **facts))


@pytest.mark.parametrize("sr", [8000, 22_050, 44_100])
@pytest.mark.parametrize(("n_fft", "n_mels", "fmin"), [(2048, 128, 0), (1024, 40, 50)])
def test_mel_filters_are_librosas(sr, n_fft, n_mels, fmin):
    theirs = librosa.filters.mel(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=0.45 * sr)
    ours = spectra.mel_filters(sr, n_fft, n_mels, fmin, 0.45 * sr)
    np.testing.assert_allclose(ours, theirs, atol=1e-6 * theirs.max())


def test_stft_mfcc_chroma_tempogram_cqt_are_librosas():
    S = np.abs(librosa.stft(Y)) ** 2
    close(spectra.stft(Clip(Y, SMALL), 2048), S)
    close(spectra.mfcc(Clip(Y, SMALL), 2048), librosa.feature.mfcc(y=Y, n_mfcc=20, **FB))
    theirs = librosa.feature.chroma_stft(S=S, sr=SR, tuning=0.0)
    close(spectra.chroma(Clip(Y, SMALL), 2048), theirs)
    onsets = librosa.onset.onset_strength(y=Y, sr=SR)
    close(
        spectra.tempogram(Clip(Y, SMALL), 2048),
        librosa.feature.tempogram(onset_envelope=onsets, sr=SR),
    )
    C = librosa.cqt(Y, **FB, fmin=librosa.note_to_hz("C1"), n_bins=84, tuning=0.0)
    close(spectra.cqt(Clip(Y, SMALL), 2048), np.abs(C) ** 2)


def test_pcen_and_db_are_librosas():
    S = librosa.feature.melspectrogram(y=Y, sr=SR)
    close(spectra.pcen(S, SMALL), librosa.pcen(np.sqrt(S) * 2**31, **FB))
    close(spectra.to_db(S, "max", 80.0), librosa.power_to_db(S, ref=np.max))


def test_log_bands_are_the_mean_of_the_line_through_the_bins():
    filters = spectra.log_filters(SR, 2048, 96, 40.0, 11025.0)
    bins = np.fft.rfftfreq(2048, 1 / SR)
    power = np.abs(np.random.default_rng(0).normal(size=len(bins)))
    edges = np.geomspace(40.0, 11025.0, 97)
    for band in (0, 30, 60, 95):
        hz = np.linspace(edges[band], edges[band + 1], 20_001)
        assert filters[band] @ power == pytest.approx(np.interp(hz, bins, power).mean(), rel=1e-3)


@pytest.mark.parametrize("hz", [220.0, 1000.0, 5000.0])
@pytest.mark.parametrize("name", ["mel", "log", "stft", "cqt"])
def test_a_tone_is_brightest_in_the_row_of_its_frequency(name, hz):
    if name == "cqt" and hz > 4000:
        pytest.skip("84 semitones up from C1 end at 3951 Hz")
    rows = spectra.POWERS[name](Clip(tone(hz, 1.0), SMALL), 2048).mean(axis=1)
    centres = {
        "mel": spectra.mel_to_hz(np.linspace(0, spectra.hz_to_mel(np.array(11025.0)), 130))[1:-1],
        "log": np.sqrt(
            np.geomspace(32.703, 11025, 129)[1:] * np.geomspace(32.703, 11025, 129)[:-1]
        ),
        "stft": np.fft.rfftfreq(2048, 1 / SR),
        "cqt": 32.703 * 2 ** (np.arange(84) / 12),
    }[name]
    assert abs(int(rows.argmax()) - int(np.abs(centres - hz).argmin())) <= 1


def test_a_click_is_brightest_in_the_column_of_its_time():
    y = np.zeros(SR, dtype=np.float32)
    y[20 * 512] = 1
    image = np.asarray(picture(y, SMALL)).astype(float)
    assert image.mean(axis=0).argmax() == 20


def test_silence_is_black_and_does_not_warn():
    assert np.asarray(picture(np.zeros(SR, dtype=np.float32), SMALL)).max() == 0


def test_six_decibels_more_are_six_decibels_brighter():
    s = RenderSettings(clip_seconds=1.0, ref="100000")
    quiet, loud = (brightness(Clip(gain * Y, s), "mel", 2048) for gain in (0.5, 1.0))
    inside = (quiet > 0.01) & (loud < 0.99)
    assert inside.mean() > 0.5
    np.testing.assert_allclose((loud - quiet)[inside] * 80, 20 * np.log10(2), atol=1e-3)
    same = [np.asarray(picture(gain * Y, SMALL)) for gain in (0.5, 1.0)]
    np.testing.assert_array_equal(*same)  # with ref max the loudness does not show


def test_default_picture_is_a_pixel_per_frame_and_band_with_low_at_the_bottom():
    image = picture(tone(100, 10.0), RenderSettings())
    assert (image.mode, image.size) == ("P", (432, 128))
    assert np.asarray(image)[:, 200].argmax() > 120


@pytest.mark.parametrize(
    "channels", ["mel,cqt,chroma", "mel:512,mel:2048,mel:8192", "mfcc,log,tempogram"]
)
def test_composites_are_rgb_of_the_size_asked_for(channels):
    s = RenderSettings(clip_seconds=1.0, channels=channels, size="60x40")
    with warnings.catch_warnings():  # librosa warns that chroma's window is longer than 1 s allows
        warnings.simplefilter("ignore", UserWarning)
        image = np.asarray(picture(Y, s))
    assert image.shape == (40, 60, 3)
    assert all(image[..., c].std() > 1 for c in range(3))


@pytest.mark.parametrize(
    "colormap", ["magma", "inferno", "plasma", "viridis", "cividis", "turbo", "gray"]
)
def test_colours_are_matplotlibs(colormap):
    import matplotlib

    theirs = matplotlib.colormaps[colormap](np.arange(256))[:, :3] * 255
    ours = np.frombuffer(palette(colormap), np.uint8).reshape(256, 3)
    np.testing.assert_allclose(ours, theirs, atol=0.51)


@pytest.mark.parametrize(
    ("channels", "passes"), [("mel,log,stft", 1), ("mel,mfcc:1024,log", 2), ("mel,mfcc,chroma", 1)]
)
def test_channels_share_a_fourier_transform_and_are_what_they_are_alone(
    monkeypatch, channels, passes
):
    alone = []
    for channel in channels.split(","):
        name, n_fft = RenderSettings(clip_seconds=1.0, channels=channel).layers[0]
        alone.append(brightness(Clip(Y, SMALL), name, n_fft))
    counted = []

    def power_frames(*arguments):
        counted.append(arguments)
        return spectra_power_frames(*arguments)

    spectra_power_frames = spectra.power_frames
    monkeypatch.setattr(spectra, "power_frames", power_frames)
    s = RenderSettings(clip_seconds=1.0, channels=channels)
    clip = Clip(Y, s)
    for (name, n_fft), values in zip(s.layers, alone, strict=True):
        np.testing.assert_array_equal(brightness(clip, name, n_fft), values)
    assert len(counted) == passes


def test_png_keeps_every_level(tmp_path):
    path = tmp_path / "a.png"
    image = picture(Y, SMALL)
    path.write_bytes(png_bytes(image))
    with Image.open(path) as read:
        np.testing.assert_array_equal(np.asarray(read), np.asarray(image))


def test_settings_survive_json_and_refuse_nonsense():
    s = RenderSettings(channels="mel,cqt,chroma", fmax=8000.0, size="224x224")
    assert RenderSettings.from_json(s.to_json()) == s
    for wrong in (
        {"sr": 0},
        {"channels": "mel,cqt"},
        {"channels": "wav"},
        {"size": "2"},
        {"fmax": 2e4},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RenderSettings(**wrong)
    with pytest.raises(ValueError, match="version 99"):
        RenderSettings.from_dict(s.to_dict() | {"version": 99})


def test_every_representation_is_drawn_with_the_rows_that_the_settings_announce() -> None:
    drawn = spectra.POWERS | spectra.OTHERS
    assert tuple(drawn) == REPRESENTATIONS
    for name, draw in drawn.items():
        assert draw(Clip(tone(440, 1.0), SMALL), 2048).shape[0] == ROWS[name](SMALL, 2048), name
