"""Music drawn as other people draw it: matplotlib figures with margins, axes, colour bars, JPEG."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import librosa
import matplotlib as mpl
import numpy as np
import soundfile
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

mpl.use("Agg")

DPI = 100  # matplotlib's own, in which a figure is 640x480


class Recording(NamedTuple):
    """A recording to draw: class, name, signal float32 (n,) in [-1, 1], Hz."""

    label: str
    name: str
    y: np.ndarray
    sr: int


@dataclass(frozen=True)
class Drawing:
    """How somebody draws a recording.

    spectrum: `plt.specgram`, a mel or linear spectrogram by `librosa.display.specshow`, or the mel
    levels alone by `plt.imsave`; seconds: drawn from the start, None for all; decoration: axes with
    ticks and labels, with a colour bar and the recording's name as title, or axes switched off;
    tight: `bbox_inches="tight"`; flip: low frequencies on top; jpeg: its quality, None for PNG;
    pixels: (width, height) of the figure, or of the levels alone, whose size is else their own.
    """

    spectrum: Literal["specgram", "mel", "linear", "imsave"] = "mel"
    colour_map: str = "viridis"
    seconds: float | None = None
    decoration: Literal["axes", "all", "off"] = "off"
    tight: bool = False
    flip: bool = False
    dark: bool = False
    jpeg: int | None = None
    pixels: tuple[int, int] | None = None


DRAWINGS = {
    "borderless": Drawing("imsave", "magma"),
    "specgram_axes": Drawing("specgram", "viridis", decoration="axes"),
    "specgram_5s_jpeg": Drawing("specgram", "inferno", seconds=5, jpeg=70),
    "mel_all": Drawing("mel", "magma", decoration="all"),
    "mel_margins": Drawing("mel", "viridis"),
    "linear_jet_tight": Drawing("linear", "jet", decoration="axes", tight=True),
    "mel_dark": Drawing("mel", "turbo", decoration="all", dark=True),
    "linear_grey": Drawing("linear", "gray_r", decoration="axes", jpeg=70),
    "mel_flipped": Drawing("imsave", "plasma", flip=True),
    "mel_hot_5s": Drawing("mel", "hot", seconds=5, tight=True, jpeg=70),
    "linear_small": Drawing("linear", "magma", pixels=(432, 288)),
    "specgram_5s_tile": Drawing("specgram", "viridis", seconds=5, tight=True, pixels=(256, 256)),
    "grey_128": Drawing("imsave", "gray", pixels=(128, 128)),
}


def recordings_in(folder: Path) -> list[Recording]:
    """Every recording in folder/<class>/, sorted by path."""
    found = []
    for path in sorted(folder.glob("*/*")):
        y, sr = soundfile.read(path, dtype="float32")
        found.append(Recording(path.parent.name, path.stem, y, sr))
    return found


def draw(recordings: Iterable[Recording], folder: Path, how: Drawing) -> Path:
    """Write folder/<class>/<recording>.png, or .jpg, of each recording; returns the folder."""
    for recording in recordings:
        y = recording.y if how.seconds is None else recording.y[: int(how.seconds * recording.sr)]
        suffix = ".png" if how.jpeg is None else ".jpg"
        file = folder / recording.label / f"{recording.name}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if how.spectrum == "imsave":
            save_levels(levels_of(recording._replace(y=y)), file, how)
        else:
            draw_figure(recording._replace(y=y), file, how)
    return folder


def levels_of(recording: Recording) -> np.ndarray:
    """Mel spectrogram in dB of the loudest place, float32 (128, frames), lowest band first."""
    power = librosa.feature.melspectrogram(y=recording.y, sr=recording.sr)
    return librosa.power_to_db(power, ref=np.max)


def save_levels(levels: np.ndarray, file: Path, how: Drawing) -> None:
    """Write levels (bands, frames) with the colour map alone, a pixel for each."""
    origin: Literal["upper", "lower"] = "upper" if how.flip else "lower"
    plt.imsave(file, levels, cmap=how.colour_map, origin=origin)
    if how.pixels:
        with Image.open(file) as image:
            small = image.convert("RGB").resize(how.pixels, Image.Resampling.BILINEAR)
        small.save(file)


def draw_figure(recording: Recording, file: Path, how: Drawing) -> None:
    """Write one figure of a recording."""
    draw_axes: dict[str, Callable[[Axes], object]] = {
        "specgram": lambda axes: axes.specgram(
            recording.y, Fs=recording.sr, cmap=how.colour_map
        )[3],
        "mel": lambda axes: _specshow(levels_of(recording), recording.sr, axes, how, "mel"),
        "linear": lambda axes: _specshow(
            librosa.amplitude_to_db(np.abs(librosa.stft(recording.y)), ref=np.max),
            recording.sr, axes, how, "linear",
        ),
    }  # fmt: skip
    write_figure(draw_axes[how.spectrum], file, how, title=recording.name)


def _specshow(levels: np.ndarray, sr: int, axes: Axes, how: Drawing, y_axis: str) -> object:
    return librosa.display.specshow(
        levels, sr=sr, x_axis="time", y_axis=y_axis, cmap=how.colour_map, ax=axes
    )


def redraw(picture: Path, file: Path, how: Drawing) -> None:
    """Draw a picture's grey levels again, as a figure with another colour map and margins."""
    grey = np.asarray(Image.open(picture).convert("L"))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_figure(
        lambda axes: axes.imshow(grey, cmap=how.colour_map, aspect="auto"), file, how,
        title=file.stem,
    )  # fmt: skip


def write_figure(
    draw_axes: Callable[[Axes], object], file: Path, how: Drawing, *, title: str
) -> None:
    """Write a figure whose axes are filled by `draw_axes`, which gives what a colour bar shows."""
    with plt.style.context("dark_background" if how.dark else "default"):
        size = None if how.pixels is None else tuple(side / DPI for side in how.pixels)
        figure, axes = plt.subplots(figsize=size, dpi=DPI)
        mesh = draw_axes(axes)
        if how.flip:
            axes.invert_yaxis()
        if how.decoration == "off":
            axes.set_axis_off()
        if how.decoration == "all":
            axes.set_title(title)
            figure.colorbar(mesh, ax=axes, format="%+2.0f dB")  # type: ignore[arg-type]
        options: dict[str, object] = {"bbox_inches": "tight", "pad_inches": 0} if how.tight else {}
        if how.jpeg is not None:
            options["pil_kwargs"] = {"quality": how.jpeg}
        figure.savefig(file, **options)  # type: ignore[arg-type]
        plt.close(figure)
