"""One clip to one picture: uint8 levels, the low frequencies at the bottom, time to the right."""

import io
import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from render.settings import RenderSettings
from render.spectrogram import spectra
from render.spectrogram.spectra import Clip

# Of zlib. Repetitions further apart than one pixel are rare in spectrograms: to search for them
# takes twice as long to write and a tenth longer to read, for 2 % of the size (measured).
STRATEGY = zlib.Z_RLE


def picture(y: np.ndarray, settings: RenderSettings) -> Image.Image:
    """The picture of the clip `y`, float32 (clip_samples,) at settings.sr.

    One channel gives mode "P" (the pixel is the level, the palette its colour), three give "RGB".
    """
    if len(y) != settings.clip_samples:
        raise ValueError(f"a clip of {len(y)} samples; these settings want {settings.clip_samples}")
    if settings.edges == "silence":  # the last samples get a frame of their own
        y = np.pad(y, (0, (settings.frames - 1) * settings.hop_length - len(y)))
    clip = Clip(y, settings)
    layers = [levels(clip, name, n_fft) for name, n_fft in settings.layers]
    size = (settings.width, settings.height)
    if len(layers) == 3:
        return Image.frombytes("RGB", size, np.stack(layers, axis=-1).tobytes())
    image = Image.frombytes("P", size, layers[0].tobytes())
    image.putpalette(palette(settings.colormap))
    return image


def levels(clip: Clip, name: str, n_fft: int) -> np.ndarray:
    """One channel of the picture: uint8 (height, width), row 0 on top."""
    bright = brightness(clip, name, n_fft)[::-1]
    size = (clip.settings.width, clip.settings.height)
    if bright.shape != size[::-1]:
        bright = np.asarray(
            Image.fromarray(np.ascontiguousarray(bright)).resize(size, Image.Resampling.BILINEAR)
        )
    return np.rint(np.clip(bright, 0, 1) * 255).astype(np.uint8)


def brightness(clip: Clip, name: str, n_fft: int) -> np.ndarray:
    """float32 (bands, frames) in 0..1, the lowest band first.

    dB: 1 is ref, 0 is top_db below it. PCEN: 1 is the clip's largest value. Chroma and tempogram
    lie in 0..1 already. Each MFCC is shown by its deviation from its own mean, in units of its own
    standard deviation from -3 to 3: they differ by a factor of hundreds among themselves.
    """
    settings = clip.settings
    if name in spectra.POWERS:
        S = spectra.POWERS[name](clip, n_fft)
        if settings.scale == "pcen":
            P = spectra.pcen(S, settings)
            return P / max(float(P.max()), spectra.AMIN)
        S_db = spectra.to_db(S, settings.ref, settings.top_db, settings.log_offset)
        return 1 + S_db / settings.top_db
    values = spectra.OTHERS[name](clip, n_fft).astype(np.float32)
    if name == "mfcc":
        values = values - values.mean(axis=1, keepdims=True)
        return 0.5 + values / (6 * np.maximum(values.std(axis=1, keepdims=True), 1e-6))
    return values


@cache
def palette(colormap: str) -> bytes:
    """The colours of the 256 levels, red, green, blue each: 768 bytes."""
    if colormap == "gray":
        return bytes(level for level in range(256) for _ in range(3))
    return bytes.fromhex(
        json.loads(Path(__file__).with_name("palettes.json").read_text())[colormap]
    )


def png_bytes(image: Image.Image) -> bytes:
    """The picture as a PNG file; the same picture always gives the same bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_type=STRATEGY)
    return buffer.getvalue()
