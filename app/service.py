"""What the page does with a file that a stranger sends: within limits, and refused in words."""

import csv
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from app.config import Limits
from app.decoder import Decoders, short
from common.plots import image_of, on_any_background
from common.text import printable
from inference.clips import Clip
from inference.output import clock
from inference.pipeline import OnClip, predict_clips
from inference.plot import ClipStrips
from inference.prediction import Prediction
from inference.predictor import Predictor
from train.models.network import TorchNetwork

HEADINGS = ("file", "answer", "class", "probability", "agreement", "remark")


class Service:
    """Answers for single files and tables, each request on its own; safe to use from threads.

    Every method raises ValueError whose message may be shown: it names files without folders.
    report: of the model's run, where there may be one.
    """

    def __init__(self, model: Predictor, limits: Limits, report: Path | None = None) -> None:
        self.model, self.limits, self.report = model, limits, report
        self._drawing = threading.Lock()  # matplotlib is not made for threads
        self._decoders = Decoders(model, limits)

    def start(self) -> None:
        """Start the processes that decode, so that the first visitor need not wait for them."""
        self._decoders.start()

    def close(self) -> None:
        """End them."""
        self._decoders.close()

    @property
    def explains(self) -> bool:
        """Whether Grad-CAM is possible: it needs the network's weights, which ONNX hides."""
        return isinstance(self.model.network, TorchNetwork)

    def answer(self, path: str) -> Prediction:
        """The answer for a picture or a recording."""
        return self._answer(path)

    def show(self, path: str) -> tuple[Prediction, Image.Image]:
        """The answer, and the network's input or, of a recording, its whole spectrogram."""
        strips, pictures = ClipStrips(), list[np.ndarray]()

        def keep(clip: Clip, row: np.ndarray) -> None:
            strips.add(clip, row)
            if clip.span is None:
                pictures.append(clip.pixels)

        prediction = self._answer(path, keep)
        return prediction, Image.fromarray(pictures[0] if pictures else strips.joined())

    def explain(self, path: str) -> Image.Image:
        """Where the network looked for the class of the answer: Grad-CAM over its clearest clip."""
        network = self.model.network
        if not isinstance(network, TorchNetwork):
            raise ValueError("Grad-CAM needs the model with its weights: start with model.pth")
        clearest: dict[int, tuple[float, Clip]] = {}

        def keep(clip: Clip, row: np.ndarray) -> None:
            for index, probability in enumerate(row):
                if probability > clearest.get(index, (0.0,))[0]:
                    clearest[index] = (float(probability), clip)

        label = self._answer(path, keep).top(1)[0][0]
        index = self.model.classes.index(label)
        probability, clip = clearest[index]
        with self._drawing:
            return self._heat(network, clip, index, f"{label} {probability:.2f}")

    def table(self, paths: list[str], file: Path) -> list[list[str]]:
        """Rows (file, answer, class, probability, agreement or "", remark) of many files.

        `file` becomes the same as CSV with every probability; failed files have their reason.
        """
        if len(paths) > self.limits.max_files:
            raise ValueError(f"{len(paths)} files; at most {self.limits.max_files} at a time")
        deadline, rows = time.monotonic() + self.limits.max_seconds, list[list[str]]()
        with file.open("w", newline="", encoding="utf-8") as out:
            table = csv.writer(out, lineterminator="\n")
            table.writerow([*HEADINGS, *map(printable, self.model.classes)])
            for path in paths:
                try:
                    p = self._answer(path, deadline=deadline)
                except ValueError as error:
                    rows.append([Path(path).name, "no answer", "", "", "", str(error)])
                    table.writerow([*map(printable, rows[-1]), *("" for _ in self.model.classes)])
                    continue
                agreement = f"{p.agreement:.2f}" if p.timeline else ""
                row = [
                    p.path,
                    p.verdict,
                    p.label,
                    f"{p.probability:.3f}",
                    agreement,
                    p.unsure or "",
                ]
                rows.append(row)
                shares = (f"{p.probabilities[name]:.6f}" for name in self.model.classes)
                table.writerow([*map(printable, row), *shares])
        return rows

    def _answer(
        self, path: str, on_clip: OnClip | None = None, deadline: float | None = None
    ) -> Prediction:
        """The answer for a file within the limits, its path without folders; or ValueError."""
        limits = self.limits
        deadline = deadline or time.monotonic() + limits.max_seconds

        def watch(clip: Clip, row: np.ndarray) -> None:
            if time.monotonic() > deadline:
                raise TimeoutError
            if on_clip:
                on_clip(clip, row)

        with _in_words(path):
            if (size := Path(path).stat().st_size / 1e6) > limits.max_mb:
                raise ValueError(f"{path}: {short(size)} MB; at most {short(limits.max_mb)} MB")
            try:
                with self._decoders.clips(path, deadline) as clips:
                    prediction = predict_clips(self.model, path, clips, watch)
            except TimeoutError:
                seconds = short(limits.max_seconds)
                raise ValueError(f"{path}: it took longer than {seconds} s") from None
        return replace(prediction, path=Path(path).name)

    def _heat(self, network: TorchNetwork, clip: Clip, index: int, title: str) -> Image.Image:
        import torch

        from inference.explain.gradcam_figure import PictureAxes, draw
        from train.models.gradcam import grad_cam

        images = torch.from_numpy(clip.pixels.copy()).permute(2, 0, 1)[None]
        heat = grad_cam(network.classifier, images.to(network.device), index)[0]
        if clip.span:
            title += f", {clock(clip.span[0])} to {clock(clip.span[1])}"
        seconds = clip.span[1] - clip.span[0] if clip.span else None
        figure = draw(clip.pixels, PictureAxes(seconds), title, heat=heat.cpu().numpy())
        return image_of(on_any_background(figure))


@contextmanager
def _in_words(path: str) -> Iterator[None]:
    """Bad input in words, without the server's folders."""
    try:
        yield
    except (ValueError, OSError) as error:
        text = " ".join(str(error).split())
        raise ValueError(text.replace(path, Path(path).name)) from None
