"""One picture explained: its axes in seconds and hertz, where the network looked, and when."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image


@dataclass(frozen=True)
class Scale:
    """What the axes of a picture mean.

    seconds: its length, or None if it is not known; ticks: (place from below in [0, 1], label) on
    the vertical axis, which is `vertical`, as "Hz".
    """

    seconds: float | None = None
    ticks: tuple[tuple[float, str], ...] = ()
    vertical: str = ""


def draw(
    picture: np.ndarray,
    scale: Scale,
    title: str,
    *,
    heat: np.ndarray | None = None,
    attention: np.ndarray | None = None,
) -> Figure:
    """The picture uint8 (H, W, 3); below it the heat (H, W) over it, and the attention (T,)."""
    heights = [2.4] + [2.4] * (heat is not None) + [1.2] * (attention is not None)
    figure = Figure(figsize=(8, sum(heights) + 0.7), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    rows = list(
        figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    )
    end = scale.seconds or 1.0
    rows[0].set_title(title, fontsize=10)
    _show(rows[0], picture, scale, end)
    if heat is not None:
        grey = np.asarray(Image.fromarray(picture).convert("L"))
        _show(rows[1], grey, scale, end)
        image = rows[1].imshow(
            heat, cmap="inferno", alpha=np.clip(heat, 0, 1) * 0.75, aspect="auto",
            extent=(0, end, 0, 1), vmin=0, vmax=1,
        )  # fmt: skip
        image.set_interpolation("bilinear")
        bar = figure.colorbar(image, ax=rows[1], pad=0.01)
        bar.set_label("Grad-CAM", fontsize=8)
    if attention is not None:
        frames = (np.arange(len(attention)) + 0.5) / len(attention) * end
        rows[-1].fill_between(frames, attention * len(attention), step="mid", alpha=0.6)
        rows[-1].axhline(1, color="grey", lw=0.8, ls="--")
        rows[-1].set_ylabel("attention\n(1: the mean)", fontsize=8)
        rows[-1].set_ylim(bottom=0)
    rows[-1].set_xlim(0, end)
    rows[-1].set_xlabel("seconds" if scale.seconds else "part of the picture")
    return figure


def _show(axes: Axes, picture: np.ndarray, scale: Scale, end: float) -> None:
    axes.imshow(
        picture, aspect="auto", extent=(0, end, 0, 1), cmap="gray" if picture.ndim == 2 else None
    )
    axes.set_yticks([place for place, _ in scale.ticks], [label for _, label in scale.ticks])
    axes.tick_params(axis="y", labelsize=7)
    axes.set_ylabel(scale.vertical)
