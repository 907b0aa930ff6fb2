"""The Python API: a model file that answers for files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

from inference.clips import Cutting
from inference.inputs import values_as_files
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
    from inference.inputs import Value

# Files from which on it pays to make an ONNX program of a torch network, which takes some seconds
# once, and a third to a half of torch's time for every clip.
MANY_FILES = 20


class Predictor(Model):
    """A model file ready to answer: `predictor(path)`; its classes are in `classes`."""

    @overload
    def __call__(
        self, value: "Value", hop_seconds: float | None = None, *, sr: int | None = None
    ) -> Prediction: ...

    @overload
    def __call__(
        self, value: "list[Value]", hop_seconds: float | None = None, *, sr: int | None = None
    ) -> list[Prediction | LeftOut]: ...

    def __call__(
        self,
        value: "Value | list[Value]",
        hop_seconds: float | None = None,
        *,
        sr: int | None = None,
    ) -> Prediction | list[Prediction | LeftOut]:
        """The answer for a picture or a recording: its path, a PIL image, or samples at `sr` Hz.

        Samples are float (n,) or (n, channels) in [-1, 1]. hop_seconds: distance of the starts of
        two clips; default half a clip, and a whole clip in recordings of more than a minute. Raises
        FileNotFoundError if there is no such file, ValueError if it is neither or damaged.

        For a list, the answer for each of its values, or why it has none.
        """
        if isinstance(value, list):
            return self._answers(value, hop_seconds, sr)
        if isinstance(value, str | Path) and not Path(value).exists():
            raise FileNotFoundError(f"no file at {value}")
        result = next(iter(self._answers([value], hop_seconds, sr)), None)
        if isinstance(result, Prediction):
            return result
        raise ValueError(result.reason if result else f"{value}: a table without rows")

    def _answers(
        self, values: "list[Value]", hop_seconds: float | None, sr: int | None
    ) -> list[Prediction | LeftOut]:
        """The answers for the values in order, each with the value's path or name."""
        with values_as_files(values, sr) as files:
            results = list(self.predict(files, hop_seconds=hop_seconds))
        given = {str(value) for value in values if isinstance(value, str | Path)}
        names = {file: Path(file).stem for file in files if file not in given}
        return [_named(result, names.get(result.path, result.path)) for result in results]

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


def _named(result: Prediction | LeftOut, name: str) -> Prediction | LeftOut:
    """The result with this path."""
    if isinstance(result, Prediction):
        return replace(result, path=name)
    return LeftOut(name, result.reason.replace(result.path, name))


def load(file: str | Path) -> Predictor:
    """The predictor of a .pth or .onnx model file; ValueError with one line if it is neither."""
    network, facts = open_network(file)
    return Predictor(facts, network)
