"""The Python API: a model file that answers for files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inference.clips import Cutting
from inference.inputs import value_as_file
from inference.model import Model
from inference.pipeline import (
    OnClip,
    predict_files,
    predict_side_by_side,
    predict_tables,
)
from inference.prediction import LeftOut, Prediction
from render.parallel import n_cores
from train.models.network import Network, OnnxNetwork, TorchNetwork, open_network

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

# Files from which on it pays to make an ONNX program of a torch network, which takes some seconds
# once, and a third to a half of torch's time for every clip.
MANY_FILES = 20


class Predictor(Model):
    """A model file ready to answer: `predictor(path)`; its classes are in `classes`."""

    def __call__(
        self,
        value: "str | Path | Image | np.ndarray",
        hop_seconds: float | None = None,
        *,
        sr: int | None = None,
    ) -> Prediction:
        """The answer for a picture or a recording: its path, a PIL image, or samples at `sr` Hz.

        Samples are float (n,) or (n, channels) in [-1, 1]. hop_seconds: distance of the starts of
        two clips; default half a clip, and a whole clip in recordings of more than a minute. Raises
        FileNotFoundError if there is no such file, ValueError if it is neither or damaged.
        """
        with value_as_file(value, sr) as path:
            result = next(self.predict([path], hop_seconds=hop_seconds), None)
        named = path if isinstance(value, str | Path) else Path(path).stem
        if isinstance(result, Prediction):
            return replace(result, path=named) if result.path == path else result
        reason = result.reason if result else f"{path}: a table without rows"
        raise ValueError(reason.replace(path, named))

    def predict(
        self,
        files: list[str],
        *,
        batch_size: int | None = None,
        hop_seconds: float | None = None,
        n_clips: int | None = None,
        on_clip: OnClip | None = None,
    ) -> Iterator[Prediction | LeftOut]:
        """The answer for every file in order, or why it has none; of a table, for every row.

        A recording is cut into clips that start every hop_seconds (default half a clip, and a whole
        clip in recordings of more than a minute) and cover it whole, or into n_clips that are
        spread over it; no more than two batches of clips of a file are in memory. on_clip sees
        every clip and its probabilities (C,).

        On a processor several files are answered side by side, one core each.
        """
        if self.facts.is_table:
            return predict_tables(self, files)
        cutting = Cutting(hop_seconds, n_clips)
        batch_size = batch_size or self.network.batch_size
        model = self.on_one_core(len(files)) if len(files) > 1 and not on_clip else None
        if model is None:
            return predict_files(
                self, files, batch_size=batch_size, cutting=cutting, on_clip=on_clip
            )
        return predict_side_by_side(
            model,
            files,
            batch_size=batch_size,
            cutting=cutting,
            n_threads=n_cores(),
        )

    def on_one_core(self, n_files: int) -> Model | None:
        """The model for calls that take one core each; None on a GPU, which takes one by one."""
        network: Network = self.network
        if isinstance(network, OnnxNetwork):
            return Model(self.facts, network.on_one_thread())
        if not isinstance(network, TorchNetwork) or network.device != "cpu":
            return None
        return Model(
            self.facts, network.as_onnx(self.facts.image) if n_files >= MANY_FILES else network
        )


def load(file: str | Path) -> Predictor:
    """The predictor of a .pth or .onnx model file; ValueError with one line if it is neither."""
    network, facts = open_network(file)
    return Predictor(facts, network)
