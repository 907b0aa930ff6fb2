"""The Python API: a model file that answers for files."""

from collections.abc import Iterator
from pathlib import Path

from inference.model import Model
from inference.pipeline import OnClip, predict_files, predict_tables
from inference.prediction import LeftOut, Prediction
from train.models.network import open_network


class Predictor(Model):
    """A model file ready to answer: `predictor(path)`; its classes are in `classes`."""

    def __call__(self, path: str | Path, hop_seconds: float | None = None) -> Prediction:
        """The answer for a picture or a recording; ValueError if it is neither or damaged.

        hop_seconds: distance of the starts of two clips; default half a clip.
        """
        result = next(self.predict([str(path)], hop_seconds=hop_seconds), None)
        if isinstance(result, Prediction):
            return result
        raise ValueError(result.reason if result else f"{path}: a table without rows")

    def predict(
        self,
        files: list[str],
        *,
        batch_size: int | None = None,
        hop_seconds: float | None = None,
        on_clip: OnClip | None = None,
    ) -> Iterator[Prediction | LeftOut]:
        """The answer for every file in order, or why it has none; of a table, for every row.

        A recording is cut into clips that start every hop_seconds (default half a clip) and cover
        it whole; no more than two batches of clips are in memory. on_clip sees every clip and its
        probabilities (C,).
        """
        if self.facts.is_table:
            return predict_tables(self, files)
        return predict_files(
            self, files, batch_size=batch_size, hop_seconds=hop_seconds, on_clip=on_clip
        )


def load(file: str | Path) -> Predictor:
    """The predictor of a .pth or .onnx model file; ValueError with one line if it is neither."""
    network, facts = open_network(file)
    return Predictor(facts, network)
