"""What the page does with a file that a stranger sends: within limits, and refused in words."""

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
from common.plots import image_of
from inference.clips import Clip
from inference.output import Table, clock
from inference.pipeline import OnClip, predict_clips
from inference.plot import ClipStrips, timeline_figure
from inference.prediction import Prediction
from inference.predictor import Predictor
from train.models.network import TorchNetwork


class Service:
    """Answers for single files and tables, each request on its own; safe to use from threads.

    Every method raises ValueError whose message may be shown: it names files without folders.
    """

    def __init__(self, model: Predictor, limits: Limits) -> None:
        self.model, self.limits = model, limits
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
        """The answer, and the picture or the recording's spectrogram with its timeline."""
        strips, pictures = ClipStrips(), list[np.ndarray]()

        def keep(clip: Clip, row: np.ndarray) -> None:
            strips.add(clip, row)
            if clip.span is None:
                pictures.append(clip.pixels)

        prediction = self._answer(path, keep)
        if pictures:
            return prediction, Image.fromarray(pictures[0])
        with self._drawing:
            return prediction, image_of(timeline_figure(prediction, strips))

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

        label = self._answer(path, keep).label
        index = self.model.classes.index(label)
        probability, clip = clearest[index]
        with self._drawing:
            return self._heat(network, clip, index, f"{label} {probability:.2f}")

    def table(self, paths: list[str], file: Path) -> list[list[str]]:
        """Rows (file, class, probability, agreement or "", remark) of many files.

        `file` becomes the CSV table of the answers with every probability.
        """
        if len(paths) > self.limits.max_files:
            raise ValueError(f"{len(paths)} files; at most {self.limits.max_files} at a time")
        rows, deadline = [], time.monotonic() + self.limits.max_seconds
        with file.open("w", newline="", encoding="utf-8") as out:
            table = Table(out, self.model.classes, timeline=False)
            for path in paths:
                try:
                    p = self._answer(path, deadline=deadline)
                except ValueError as error:
                    rows.append([Path(path).name, "", "", "", str(error)])
                    continue
                table.add(p)
                agreement = f"{p.agreement:.2f}" if p.timeline else ""
                remark = f"unsure: {p.unsure}" if p.unsure else ""
                rows.append([p.path, p.label, f"{p.probability:.3f}", agreement, remark])
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
        return image_of(draw(clip.pixels, PictureAxes(seconds), title, heat=heat.cpu().numpy()))


@contextmanager
def _in_words(path: str) -> Iterator[None]:
    """Bad input in words, without the server's folders."""
    try:
        yield
    except (ValueError, OSError) as error:
        text = " ".join(str(error).split())
        raise ValueError(text.replace(path, Path(path).name)) from None
