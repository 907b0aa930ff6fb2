"""python -m train.export --page: in chromium, the pictures of render and the answers of predict."""

import base64
import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
from platformdirs import user_cache_path

from inference.output import sentence
from inference.predictor import load
from render import pictures_of
from render.presets import AUDIOSET
from render.settings import REPRESENTATIONS, RenderSettings
from tests import sounds
from tests.browser import axe_program, browser, needs_chromium, served, violations
from tests.helpers import facts_of_pictures
from train.export import onnxruntime_web
from train.export.config import ExportConfig
from train.export.formats import Original
from train.export.static_page import check_page, page_facts, write_page
from train.models import model_file

pytestmark = pytest.mark.slow  # whole commands, or as long as these

LEVELS = """
async ([sound, facts]) => {
  const {decode, spansOf, filled} = await import("./sound.js");
  const {levels} = await import("./spectrogram.js");
  const bytes = Uint8Array.from(atob(sound), (c) => c.charCodeAt(0));
  const {render, long_seconds} = facts, n = render.clip_samples;
  const y = await decode(bytes.buffer, render.sr);
  const parts = spansOf(y.length, n, render.sr, long_seconds).map((span) =>
    levels(filled(y, span, n, render.short === "repeat"), render, render.channels[0]));
  const whole = await new Blob(parts).arrayBuffer();
  let text = "";
  for (const byte of new Uint8Array(whole)) text += String.fromCharCode(byte);
  return btoa(text);
}
"""


class Site(NamedTuple):
    """A page's folder, the model file that it was made of, and whether it has its runtime."""

    folder: Path
    model: Path
    complete: bool


@pytest.fixture(scope="module")
def site(heard: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The page of the model that knows high from low notes."""
    root = tmp_path_factory.mktemp("site")
    cache, kept = root / "cache", user_cache_path("spectrofold", appauthor=False) / "npm"
    (cache / "npm").mkdir(parents=True)
    if (kept / onnxruntime_web.ARCHIVE).is_file():
        (cache / "npm" / onnxruntime_web.ARCHIVE).symlink_to(kept / onnxruntime_web.ARCHIVE)
    facts, weights = model_file.read(heard / "model.pth")
    original = Original(model_file.rebuilt(facts, weights), facts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPECTROFOLD_CACHE", str(cache))
        try:
            write_page(original, root / "page")
            complete = True
        except ValueError:  # npm, or its network, is missing here
            patch.setattr("train.export.static_page.copy_runtime", lambda folder: None)
            write_page(original, root / "page")
            complete = False
    return Site(root / "page", heard / "model.pth", complete)


@pytest.fixture(scope="module")
def tab(site: Site) -> Iterator[Any]:
    """A tab with the page; what it says in the console and whom it asks is in its `said`."""
    with served(site.folder) as url, browser() as opened:
        tab = opened.new_page(viewport={"width": 390, "height": 844})
        tab.said = []
        tab.on("console", lambda message: tab.said.append(message.text))
        tab.on("pageerror", lambda error: tab.said.append(str(error)))
        tab.on("request", lambda asked: asked.url.startswith((url, "blob:", "data:"))
               or tab.said.append(asked.url))  # fmt: skip
        tab.goto(url)
        yield tab


def write_songs(folder: Path) -> list[Path]:
    """Five sounds of different rates, lengths, channels and formats."""
    rng, songs = np.random.default_rng(5), []
    for name, label, seconds, sr in (
        ("a.wav", "high", 3, 8000), ("b.flac", "low", 2, 22_050), ("c.wav", "high", 1, 44_100),
        ("d.ogg", "low", 2, 48_000), ("short.flac", "low", 0.5, 11_025),
    ):  # fmt: skip
        import soxr

        y = soxr.resample(sounds.notes(label, seconds, rng), sounds.SR, sr)
        soundfile.write(folder / name, np.stack([y, 0.5 * y], axis=1), sr)
        songs.append(folder / name)
    return songs


@needs_chromium
@pytest.mark.parametrize("preset", ["own", "audioset", "sized", "stft"])
def test_the_browser_makes_the_pictures_of_render(
    site: Site, tab: Any, tmp_path: Path, preset: str
) -> None:
    """Equal within one level in 99 % of pixels."""
    facts, _ = model_file.read(site.model)
    assert facts.render is not None
    settings = {
        "own": facts.render,
        "audioset": replace(AUDIOSET, clip_seconds=2.0),
        "sized": RenderSettings(channels="log:1024", clip_seconds=2.0, size="100x90", short="pad"),
        "stft": RenderSettings(channels="stft:512", clip_seconds=2.0),
    }[preset]
    size = settings.width, settings.height
    told = page_facts(facts_of_pictures(*size, render=settings))
    for song in write_songs(tmp_path):
        sound = base64.b64encode(song.read_bytes()).decode()
        theirs = np.frombuffer(base64.b64decode(tab.evaluate(LEVELS, [sound, told])), np.uint8)
        pictures = pictures_of(song, settings, settings.clip_seconds / 2)
        ours = np.concatenate([np.asarray(picture).ravel() for _, _, picture in pictures])
        assert theirs.shape == ours.shape
        assert (abs(theirs.astype(int) - ours) <= 1).mean() > 0.99
        assert ours.std() > 10


@needs_chromium
def test_the_page_answers_as_predict(site: Site, tab: Any, tmp_path: Path) -> None:
    """Songs, silence, a picture and what is none: by hand and eye, nothing sent anywhere."""
    if not site.complete:
        pytest.skip("npm cannot fetch onnxruntime-web here")
    model, songs = load(site.model), write_songs(tmp_path)
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 8000)
    (tmp_path / "bad.mp3").write_bytes(b"no music")
    picture = min((site.model.parent.parent.parent / "spectrograms").rglob("*.png"))
    files = [*songs, tmp_path / "silence.wav", picture]
    tab.wait_for_selector("body[data-ready]")
    tab.set_input_files("#files", [*files[:-1], tmp_path / "bad.mp3", picture])
    tab.wait_for_selector("#table:not([hidden])")
    assert tab.inner_text("#answer") == sentence(model(picture))
    with tab.expect_download() as download:
        tab.click("#save")
    with download.value.path().open(newline="") as lines:
        rows = {row["file"]: row for row in csv.DictReader(lines)}
    assert "neither a picture nor a recording" in rows.pop("bad.mp3")["remark"]
    for file in files:
        answer, row = model(file), rows.pop(file.name)
        assert (row["answer"], row["class"]) == (answer.verdict, answer.label)
        assert row["remark"] == (answer.unsure or "")
        for label, probability in answer.probabilities.items():
            assert float(row[label]) == pytest.approx(probability, abs=0.01)
    tab.set_input_files("#files", songs[0])
    tab.wait_for_selector(".player")
    assert tab.inner_text("#answer") == sentence(model(songs[0]))
    tab.wait_for_function("document.querySelector('audio').duration > 2.9")
    tab.focus(".track input")
    for _ in range(3):
        tab.keyboard.press("PageUp")  # a tenth of the range each
    tab.wait_for_function("document.querySelector('audio').currentTime > 0.5")
    assert tab.inner_text(".now").startswith("0:01")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(tab, axe_program(tmp_path)) == []
    assert tab.said == []


def test_what_a_page_cannot_compute_is_refused(tmp_path: Path) -> None:
    others = sorted(set(REPRESENTATIONS) - {"mel", "log", "stft"})
    assert others == ["chroma", "cqt", "mfcc", "tempogram"]
    in_words = "computes mel, log, stft in dB; this model hears"
    for settings, reason in (
        *((RenderSettings(channels=name), f"{in_words} {name}") for name in others),
        (RenderSettings(channels="mel,log,cqt"), f"{in_words} cqt"),
        (RenderSettings(scale="pcen"), "this model hears mel as pcen"),
        (RenderSettings(n_fft=1000, hop_length=500), "not n_fft=1000"),
    ):
        with pytest.raises(ValueError, match=reason):
            check_page(facts_of_pictures(64, 64, render=settings))


def test_a_runtime_that_cannot_be_had_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECTROFOLD_CACHE", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ValueError, match=r"no npm here to fetch it: run `npm pack onnxruntime-web"):
        onnxruntime_web.copy_runtime(tmp_path / "page")
    archive = tmp_path / "npm" / onnxruntime_web.ARCHIVE
    archive.parent.mkdir()
    archive.write_bytes(b"something else")
    with pytest.raises(ValueError, match="is not the onnxruntime-web"):
        onnxruntime_web.copy_runtime(tmp_path / "page")


def test_page_and_weights_of_others_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="make the model file, then its page"):
        ExportConfig(page="x", from_state_dict="w.pth", classes="c.txt")
