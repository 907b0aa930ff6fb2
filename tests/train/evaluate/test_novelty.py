"""What counts as unlike the training pictures, on the demo's real ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.image_folder import scan
from data.images.read import read_picture
from render import RenderSettings
from render.spectrogram.image import picture
from tests.helpers import ROOT
from train.evaluate import novelty as familiar

SIZES = [(224, 224), (672, 224)]
SETTINGS = RenderSettings.from_json((ROOT / "subsampled_data/render.json").read_text())


def at(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


@pytest.fixture(scope="module", params=SIZES, ids=str)
def demo(request: pytest.FixtureRequest) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """(size, measures (144, 13), groups) of the demo's pictures."""
    examples = scan(ROOT / "subsampled_data", "group")
    pictures = (at(read_picture(examples.root / path), request.param) for path in examples.paths)
    measures = np.stack([familiar.measure(pixels) for pixels in pictures])
    return request.param, measures, np.asarray(examples.groups)


def pink(n: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls by 3 dB per octave, peak 1."""
    f = np.maximum(np.fft.rfftfreq(n), 1 / n)
    y = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) / np.sqrt(f), n)
    return y / np.abs(y).max()


def strange_sounds(rng: np.random.Generator) -> dict[str, np.ndarray]:
    n = SETTINGS.clip_samples
    syllables = np.abs(rng.standard_normal(n // SETTINGS.sr * 8))  # eight a second, as in speech
    envelope = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(syllables)), syllables)
    return {
        "silence": np.zeros(n),
        "white noise": 0.1 * rng.standard_normal(n),
        "hiss far below the music": 1e-5 * rng.standard_normal(n),
        "pink noise": pink(n, rng),
        "noise in the rhythm of speech": pink(n, rng) * envelope,
        "a tone": 0.5 * np.sin(2 * np.pi * 440 * np.arange(n) / SETTINGS.sr),
    }


def photographs() -> dict[str, np.ndarray]:
    from sklearn.datasets import load_sample_images

    found = load_sample_images()
    names = [Path(name).name for name in found.filenames]
    colour = dict(zip(names, found.images, strict=True))
    grey = {
        f"grey {name}": np.asarray(Image.fromarray(p).convert("L").convert("RGB"))
        for name, p in colour.items()
    }
    return colour | grey


def test_what_is_no_music_is_told(demo: tuple) -> None:
    size, measures, groups = demo
    section = familiar.describe(measures, groups)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        strange = {name: at(p, size) for name, p in photographs().items()}
        noise = rng.normal(128, 50, (size[1], size[0], 3))
        strange["gaussian noise"] = noise.clip(0, 255).astype(np.uint8)
        for level in (0, 128, 255):
            strange[f"blank {level}"] = np.full((size[1], size[0], 3), level, dtype=np.uint8)
        for name, y in strange_sounds(rng).items():
            image = picture(y.astype(np.float32), SETTINGS).convert("RGB")
            strange[name] = at(np.asarray(image), size)
        passed = [n for n, p in strange.items() if familiar.why_unfamiliar(p, section) is None]
        assert passed == []


def test_held_out_music_is_not_told(demo: tuple) -> None:
    """Three quarters of the recordings set the limits, the rest must pass: 97 of 100 pictures."""
    _, measures, groups = demo
    names = np.unique(groups)
    flagged = total = 0
    for seed in range(8):
        held = np.isin(groups, np.random.default_rng(seed).permutation(names)[: len(names) // 4])
        section = familiar.describe(measures[~held], groups[~held])
        assert section is not None
        for name, columns in familiar.CHECKS.items():
            check = getattr(section, name)
            distances = familiar._distances(measures[held, columns], check)
            flagged += int((distances > check.limit).sum())
        total += int(held.sum())
    assert flagged / total <= 0.03


def test_the_reasons_say_what_is_wrong(demo: tuple) -> None:
    size, measures, groups = demo
    section = familiar.describe(measures, groups)
    rng = np.random.default_rng(0)
    sound = picture(pink(SETTINGS.clip_samples, rng).astype(np.float32), SETTINGS).convert("RGB")
    photograph = photographs()["china.jpg"]
    assert "noise" in str(familiar.why_unfamiliar(at(np.asarray(sound), size), section))
    assert "colours" in str(familiar.why_unfamiliar(at(photograph, size), section))
    blank = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    assert "blank" in str(familiar.why_unfamiliar(blank, None))
    blank[5, 7] = 9  # one point of light: little, but something
    assert familiar.why_unfamiliar(blank, None) is None


def test_too_few_pictures_set_no_limits(demo: tuple) -> None:
    _, measures, _groups = demo
    assert familiar.describe(measures[:39], np.arange(39)) is None
    assert familiar.describe(measures, np.zeros(len(measures))) is None
