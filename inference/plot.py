"""The spectrogram of a whole recording with its classes over time beneath it."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from common.plots import class_colours, empty_figure
from inference.clips import Clip
from inference.output import clock
from inference.prediction import NONE, ClipPrediction, Prediction

STRIP = (96, 128)  # width, height in pixels at which a clip is kept for the figure


class ClipStrips:
    """The clips of a recording, kept small enough for hours; `add` suits predict's on_clip."""

    def __init__(self) -> None:
        self._strips: list[tuple[float, float, np.ndarray]] = []

    def add(self, clip: Clip, _: np.ndarray) -> None:
        """Keep a clip; its probabilities do not matter here."""
        small = Image.fromarray(clip.pixels).resize(STRIP, Image.Resampling.BOX)
        self._strips.append((*(clip.span or (0.0, 1.0)), np.asarray(small)))

    def joined(self) -> np.ndarray:
        """One picture of the recording, uint8 (128, W, 3), each clip beginning at its start.

        Every clip was brightened to its own loudest point, so clips may differ in brightness.
        """
        seconds = max(end - start for start, end, _ in self._strips)
        rate = STRIP[0] / seconds
        total = round(self._strips[-1][1] * rate)
        whole = np.zeros((STRIP[1], max(total, 1), 3), dtype=np.uint8)
        for start, _, strip in self._strips:
            first = round(start * rate)
            part = strip[:, : max(total - first, 0)]
            whole[:, first : first + part.shape[1]] = part
        return whole


def timeline_figure(prediction: Prediction, strips: ClipStrips) -> Figure:
    """The joined spectrogram over the probabilities of the classes, over time; one time axis."""
    timeline = prediction.timeline
    if not timeline:
        raise ValueError(f"{prediction.path}: a picture has no timeline to plot; give a recording")
    drawn = empty_figure(8, 5)
    above, below = drawn.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    end = timeline[-1].end_s
    above.imshow(strips.joined(), aspect="auto", extent=(0, end, 0, 1), interpolation="antialiased")
    above.set(yticks=[], ylabel="Frequency")
    said = f"unsure, {prediction.unsure}; nearest: " if prediction.unsure else ""
    said += f"{prediction.label or NONE} {prediction.probability:.2f}"
    above.set_title(f"{Path(prediction.path).name}: {said}".replace("$", r"\$"), fontsize=10)
    edges = clip_edges(timeline)
    classes = sorted(prediction.probabilities)
    shares = np.array([[clip.probabilities[name] for clip in timeline] for name in classes])
    shares = np.concatenate([shares, shares[:, -1:]], axis=1)
    names = [name.replace("$", r"\$") for name in classes]
    colours = class_colours(len(classes))
    if prediction.several:  # each of its own; together they are no whole
        for name, row, colour in zip(names, shares, colours, strict=True):
            below.step(edges, row, where="post", label=name, color=colour)
    else:
        below.stackplot(edges, shares, labels=names, step="post", colors=colours)
    for clip, since, until in zip(timeline, edges, edges[1:], strict=False):
        if clip.unsure:
            below.axvspan(since, until, facecolor="white", alpha=0.6, hatch="///")
    below.set(xlim=(0, end), ylim=(0, 1), ylabel="Probability", xlabel="Time (min:s)")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))  # of seconds
    below.xaxis.set_major_formatter(lambda seconds, _: clock(max(seconds, 0)))
    drawn.legend(loc="outside lower center", ncols=4, frameon=False)
    return drawn


def clip_edges(timeline: Sequence[ClipPrediction]) -> list[float]:
    """The n + 1 seconds between which n overlapping clips are drawn: each around its own middle."""
    middles = [(clip.start_s + clip.end_s) / 2 for clip in timeline]
    between = [(a + b) / 2 for a, b in pairwise(middles)]
    return [timeline[0].start_s, *between, timeline[-1].end_s]
