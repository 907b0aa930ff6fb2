"""Files answered by the workers of a Dask cluster."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

from inference.clips import Cutting
from inference.config import PredictConfig
from inference.model import Model
from inference.pipeline import predict_file
from inference.prediction import LeftOut, Prediction
from inference.predictor import load
from render.parallel import Workers, results_of
from train.models.facts import ModelFacts

_loading = Lock()


@dataclass(frozen=True)
class FileAnswer:
    """What is sent to the workers: answers one file by a model file, on one core.

    model_file: absolute, as the workers see it; content: its size and time of change, by which a
    worker knows that it has loaded another one. folder: what relative paths start from.
    n_files: how many there are to answer. batch_size: None for what suits the network.
    """

    model_file: str
    content: tuple[int, int]
    folder: str
    n_files: int
    batch_size: int | None
    cutting: Cutting

    def __call__(self, path: str) -> Prediction | LeftOut:
        """The answer for the file, or why there is none, named as the command named it."""
        model = self._model()
        model.network.begin_thread()
        absolute = str(Path(self.folder, path))
        result = predict_file(
            model,
            absolute,
            batch_size=self.batch_size or model.network.batch_size,
            cutting=self.cutting,
        )
        if isinstance(result, LeftOut):
            return LeftOut(path, result.reason.replace(absolute, path))
        return replace(result, path=path)

    def _model(self) -> Model:
        with _loading:  # a worker of many threads loads it once
            try:
                return _loaded(self.model_file, self.content, self.n_files)
            except (ValueError, OSError) as error:
                raise ValueError(f"a worker on {socket.gethostname()}: {error}") from None


@lru_cache(maxsize=1)
def _loaded(model_file: str, content: tuple[int, int], n_files: int) -> Model:
    predictor = load(model_file)
    return predictor.on_one_core(n_files) or predictor


def on_cluster(
    address: str, model_file: Path, facts: ModelFacts, files: list[str], config: PredictConfig
) -> Iterator[Prediction | LeftOut]:
    """The answers for the files, as they are found, in any order.

    address: of the Dask scheduler; its workers must see the same paths. Raises ValueError for a
    model of a table, whose rows one core answers in no time, and what `results_of` raises.
    """
    if facts.is_table:
        raise ValueError(f"--cluster {address}: {model_file} is of a table; leave out --cluster")
    content = model_file.stat()
    answer = FileAnswer(
        model_file=str(model_file.absolute()),
        content=(content.st_size, content.st_mtime_ns),
        folder=str(Path.cwd()),
        n_files=len(files),
        batch_size=config.batch_size,
        cutting=Cutting(config.hop, config.clips),
    )
    return results_of(answer, files, len(files), Workers(cluster=address))
