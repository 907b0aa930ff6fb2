"""A folder that any web server serves: a page that answers in the browser, without a server's help.

What the page needs of a model is data, made here: the filters and the window of its spectrogram,
the colours that its levels have for the network, and the network as an ONNX program.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image

from common.files import write_bytes, write_json, write_text
from common.html import fill_template
from common.plots import class_colours
from data.images.colour_map import OTHER, colours_of
from data.images.read import ImageSpec
from render.audio.clips import LONG_SECONDS
from render.settings import RenderSettings
from render.spectrogram import spectra
from render.spectrogram.image import palette
from render.spectrogram.preview import hertz_labels
from train.export.formats import Original
from train.export.onnx import picture_program
from train.export.onnxruntime_web import VERSION, copy_runtime
from train.models.facts import ModelFacts
from train.report.caveats import about_model

SOURCES = Path(__file__).with_name("page")
COMPUTED = ("mel", "log", "stft")  # representations that the page computes
RENDER_VALUES = (
    *("sr", "hop_length", "clip_samples", "frames", "width", "height", "edges", "short"),
    *("preemphasis", "top_db", "ref", "log_offset"),
)


def check_page(facts: ModelFacts) -> None:
    """Raise ValueError when the model hears what the page cannot compute."""
    settings = facts.render
    if settings is None:
        return
    for name, n_fft in settings.layers:
        if name not in COMPUTED or settings.scale != "db":
            shown = f"{name} as {settings.scale}"
            raise ValueError(
                f"--page computes {', '.join(COMPUTED)} in dB; this model hears {shown}"
            )
        if n_fft & (n_fft - 1):
            raise ValueError(f"--page needs windows of a power of two samples, not n_fft={n_fft}")


def write_page(original: Original, folder: Path) -> None:
    """Write the page's files into the folder; ValueError when the model has no such page."""
    facts = original.facts
    check_page(facts)
    values = page_facts(facts)
    copy_runtime(folder)
    program: onnx.ModelProto = picture_program(original.module, facts.image)
    write_bytes(folder / "model.onnx", program.SerializeToString())
    write_json(folder / "model.json", values)
    for source in sorted(SOURCES.iterdir()):
        if source.suffix in (".js", ".md"):
            write_bytes(folder / source.name, source.read_bytes())
    text = fill_template(
        SOURCES / "index.html.jinja",
        title="Which class is this recording?" if facts.render else "Which class is this picture?",
        classes=facts.classes,
        hears=facts.render is not None,
        about=about_model(facts),
        onnxruntime=VERSION,
        player_css=(SOURCES / "player.css").read_text(encoding="utf-8"),
    )
    write_text(folder / "index.html", text)


def page_facts(facts: ModelFacts) -> dict[str, Any]:
    """All that the page must know of a model beside its network, as plain data for JSON."""
    spec, settings = facts.image, facts.render
    return {
        "classes": list(facts.classes),
        "colours": class_colours(len(facts.classes)),
        "temperature": facts.temperature,
        "image": {"width": spec.width, "height": spec.height, "canvas": list(spec.canvas)},
        "drawing": _drawing(spec),
        "render": _render(settings, spec) if settings else None,
        "long_seconds": LONG_SECONDS,
        "hertz": hertz_labels(settings) if settings else [],
        "novelty": dataclasses.asdict(facts.novelty) if facts.novelty else None,
    }


def _render(settings: RenderSettings, spec: ImageSpec) -> dict[str, Any]:
    colours, flip = _seen_by_network(settings, spec)
    plain = {name: getattr(settings, name) for name in RENDER_VALUES}
    channels = [_channel(settings, name, n_fft) for name, n_fft in settings.layers]
    return plain | {"channels": channels, "colours": colours, "flip": flip}


def _channel(settings: RenderSettings, name: str, n_fft: int) -> dict[str, Any]:
    """A channel's window and the weights of its bands, each from its first bin that counts."""
    window = spectra.hann(
        n_fft, settings.win_length or n_fft, symmetric=settings.window == "hann-symmetric"
    )
    bands = []
    for row in spectra.FILTERS[spectra.BANKS[name]](settings, n_fft):
        seen = np.flatnonzero(row)
        first, end = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, 0)
        bands.append([first, row[first:end].tolist()])
    return {"n_fft": n_fft, "window": window.tolist(), "bands": bands}


def _seen_by_network(
    settings: RenderSettings, spec: ImageSpec
) -> tuple[list[list[int]] | None, bool]:
    """(the colour of each of 256 levels, whether the picture is upside down) for the network.

    None for three channels, which are red, green and blue. It is read off a picture of all levels,
    as its drawing is undone before the network sees it.
    """
    size = settings.width, settings.height
    levels = np.random.default_rng(0).permutation(size[0] * size[1]).reshape(size[::-1]) % 256
    levels = levels.astype(np.uint8)
    if len(settings.layers) == 3:
        before = np.stack([levels, levels[::-1], levels[:, ::-1]], axis=-1)
    else:
        before = np.asarray(_painted(levels, settings).convert("RGB"))
    after = spec.drawing.undone(before, size)
    flip = spec.drawing.flip
    seen = after[::-1] if flip else after
    if len(settings.layers) == 3:
        if not np.array_equal(seen, before):
            raise ValueError("--page: this model's pictures are recoloured, which has no page")
        return None, flip
    colours = np.zeros((256, 3), dtype=np.uint8)
    if seen.shape == before.shape:
        colours[levels] = seen
    if not np.array_equal(colours[levels], seen):
        raise ValueError("--page: this model's pictures are cropped, which has no page")
    return colours.tolist(), flip


def _painted(levels: np.ndarray, settings: RenderSettings) -> Image.Image:
    image = Image.fromarray(levels, mode="P")
    image.putpalette(palette(settings.colormap))
    return image


def _drawing(spec: ImageSpec) -> dict[str, Any]:
    """What is undone of picture files: frames, colours from and to, direction."""
    drawing = spec.drawing
    source = colours = None
    if drawing.colour_map not in ("", OTHER):
        source = colours_of(drawing.colour_map)
        source = source[::-1] if drawing.inverted else source
        colours = colours_of(drawing.shown)
    return {
        "frames": [[*frame.size, *frame.box] for frame in drawing.frames],
        "crop": drawing.crop,
        "source": None if source is None else source.tolist(),
        "colours": None if colours is None else colours.tolist(),
        "flip": drawing.flip,
    }
