"""A figure of one picture: its axes in seconds and hertz, Grad-CAM, and attention over time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from common.plots import empty_figure, save_figure
from inference.explain.page import N_SHOWN, ExplainedPicture, explained, write_pictures
from inference.explain.pictures import PredictedPictures
from render.settings import RenderSettings
from render.spectrogram.preview import first_ticks
from render.spectrogram.spectra import POWERS
from train.models.ensemble import members_of
from train.models.gradcam import grad_cam
from train.models.network import TorchNetwork

LEAST_GAP = 0.05  # of the axis between two labels that do not touch


@dataclass(frozen=True)
class PictureAxes:
    """What the axes of a picture mean.

    seconds: its length, or None if it is not known; ticks: (place from below in [0, 1], label) on
    the vertical axis, whose label is `vertical`.
    """

    seconds: float | None = None
    ticks: tuple[tuple[float, str], ...] = ()
    vertical: str = ""


def axes_of(render: RenderSettings | None) -> PictureAxes:
    """The axes of pictures made with the rendering settings `render`; empty without them."""
    if render is None:
        return PictureAxes()
    name, _ = render.layers[0]
    seconds = render.frames * render.hop_length / render.sr
    ticks = tuple(first_ticks(render, LEAST_GAP))
    return PictureAxes(seconds, ticks, "Hz" if name in POWERS else name)


def write_figures(
    pictures: PredictedPictures,
    network: TorchNetwork,
    axes: PictureAxes,
    out: Path,
    label: str | None,
) -> list[Path]:
    """Draw Grad-CAM and attention, as far as the network has them, of each picture; the files.

    The last one is a page of the first figures. label: the class that is explained, or None for the
    predicted one.
    """
    classes, written, shown = pictures.classes, list[Path](), list[ExplainedPicture]()
    if label is not None and label not in classes:
        raise ValueError(f"--label {label}: the model knows {', '.join(classes)}")
    attention = None
    for i, path in enumerate(pictures.paths):
        probabilities = pictures.probabilities[i]
        index = int(probabilities.argmax()) if label is None else classes.index(label)
        title = pictures.title(i)
        if label is not None:
            title += f"; explained: {label} ({probabilities[index]:.2f})"
        heat, attention = heat_and_attention(network, pictures.images(slice(i, i + 1)), index)
        pixels = pictures.pixels[i]
        figure = draw(pixels, axes, title, heat=_at_size_of(pixels, heat), attention=attention)
        file = _free(out / f"{Path(path).stem}.png", written)
        save_figure(figure, file)
        written.append(file)
        if len(shown) < N_SHOWN:
            shown.append(explained(pictures, i, classes[index], figure))
    page = out / "explanation.html"
    write_pictures(page, shown, pictures, attention=attention is not None)
    return [*written, page]


def _at_size_of(pixels: np.ndarray, heat: np.ndarray | None) -> np.ndarray | None:
    """The heat (h, w) at the size of the picture (H, W, 3)."""
    if heat is None:
        return None
    size = (pixels.shape[1], pixels.shape[0])
    return np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))


def heat_and_attention(
    network: TorchNetwork, image: torch.Tensor, index: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(Grad-CAM (h, w), attention (T,)) of one picture uint8 (1, 3, h, w) and one class.

    None for what the network does not have; ValueError where it has neither.
    """
    heat = attention = None
    image, members = image.to(network.device), members_of(network.classifier)
    if hasattr(members[0].backbone, "attention"):
        with torch.inference_mode():
            seen = (image.float() - members[0].mean) / members[0].std
            each = [member.backbone.attention(seen)[0] for member in members]
        attention = torch.stack(each).mean(dim=0).cpu().numpy()
    try:
        heat = grad_cam(network.classifier, image, index)[0].cpu().numpy()
    except ValueError:
        if attention is None:
            raise
    return heat, attention


def draw(
    picture: np.ndarray,
    axes: PictureAxes,
    title: str,
    *,
    heat: np.ndarray | None = None,
    attention: np.ndarray | None = None,
) -> Figure:
    """The picture uint8 (H, W, 3); below it the heat (H, W) over it, and the attention (T,)."""
    heights = [2.4] + [2.4] * (heat is not None) + [1.2] * (attention is not None)
    figure = empty_figure(8, sum(heights) + 0.7)
    rows = list(
        figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    )
    end = axes.seconds or 1.0
    rows[0].set_title(title, fontsize=10)
    _show(rows[0], picture, axes, end)
    if heat is not None:
        grey = np.asarray(Image.fromarray(picture).convert("L"))
        _show(rows[1], grey, axes, end)
        image = rows[1].imshow(
            heat,
            cmap="inferno",
            alpha=np.clip(heat, 0, 1) * 0.75,
            aspect="auto",
            extent=(0, end, 0, 1),
            vmin=0,
            vmax=1,
        )
        image.set_interpolation("bilinear")
        bar = figure.colorbar(image, ax=rows[1], pad=0.01)
        bar.set_label("Grad-CAM", fontsize=8)
    if attention is not None:
        frames = (np.arange(len(attention)) + 0.5) / len(attention) * end
        rows[-1].fill_between(frames, attention * len(attention), step="mid", alpha=0.6)
        rows[-1].axhline(1, color="grey", lw=0.8, ls="--")
        rows[-1].set_ylabel("Attention\n(1: the mean)", fontsize=8)
        rows[-1].set_ylim(bottom=0)
    rows[-1].set_xlim(0, end)
    rows[-1].set_xlabel("Time (s)" if axes.seconds else "Part of the picture's width")
    return figure


def _show(rows: Axes, picture: np.ndarray, axes: PictureAxes, end: float) -> None:
    grey = "gray" if picture.ndim == 2 else None
    rows.imshow(picture, aspect="auto", extent=(0, end, 0, 1), cmap=grey)
    rows.set_yticks([place for place, _ in axes.ticks], [label for _, label in axes.ticks])
    rows.tick_params(axis="y", labelsize=7)
    rows.set_ylabel(axes.vertical)


def _free(file: Path, taken: list[Path]) -> Path:
    """The file's name, or with a number where pictures of two folders have one name."""
    n, wanted = 1, file
    while file in taken:
        n += 1
        file = wanted.with_name(f"{wanted.stem}-{n}{wanted.suffix}")
    return file
