"""The Python API: what the commands do, as four functions. Nothing here imports torch by itself."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.prediction import LeftOut, Prediction
    from inference.predictor import Predictor
    from render.collection import Summary


def load(file: str | Path) -> "Predictor":
    """The predictor of a model.pth or model.onnx file, or of the run folder that holds one.

    Raises FileNotFoundError when it is not there, ValueError when it is no model file.
    """
    from inference.predictor import load

    return load(file)


def predict(
    model: "str | Path | Predictor", files: str | Path | Iterable[str | Path]
) -> "Iterator[Prediction | LeftOut]":
    """The answer for each picture, recording or table, in order, or why it has none.

    files: paths, or one path.
    """
    predictor = load(model) if isinstance(model, str | Path) else model
    paths = [files] if isinstance(files, str | Path) else files
    return predictor.predict([str(path) for path in paths])


def train(data: str | Path, **options: Any) -> Path:
    """Train on songs or pictures in class folders, or on a table; the folder of the finished run.

    options: those of `python main.py`, with underscores, as epochs=5. Raises TypeError for an
    option that does not exist, ValueError for bad data or a value out of range.
    """
    from common.cli import INTERRUPTED
    from data.config import DataConfig
    from render.songs import SongConfig
    from train.config import TrainConfig
    from train.pipeline import train

    configs = _configs({"data": str(data)} | options, DataConfig, TrainConfig, SongConfig)
    data_config, config, songs = configs
    if train(data_config, config, None, songs, given=options.keys()) == INTERRUPTED:
        raise KeyboardInterrupt
    return (Path(config.out) / "latest").resolve()


def render(
    audio: str | Path, out: str | Path = "spectrograms", *, jobs: int = -1, **options: Any
) -> "Summary":
    """Draw the recordings of audio/<class>/ as pictures in out/<class>/; what was made.

    jobs: processes, -1 for one per core; options: the settings of `python -m render`, with
    underscores, as clip_seconds=5. A second call draws only what is missing or has changed.
    """
    from render.audio.clips import ClipSettings
    from render.collection import render_folder
    from render.parallel import Workers
    from render.settings import RenderSettings
    from render.sources.folders import from_folders, named
    from render.sources.own_labels import by_artist

    settings, clips = _configs(options, RenderSettings, ClipSettings)
    recordings = list(named(by_artist(from_folders(Path(audio)))[0]))
    return render_folder(recordings, Path(out), settings, clips, Workers(jobs))


def _configs(options: dict[str, Any], *configs: type) -> list[Any]:
    """Each config filled with the options that are its own; TypeError names one that is not."""
    from common.validation import check_fields

    names = [{field.name for field in fields(config)} for config in configs]
    if unknown := options.keys() - set().union(*names):
        known, first = sorted(set().union(*names)), min(unknown)
        near = difflib.get_close_matches(first, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise TypeError(f"no option {first}; {hint}")
    made = [
        config(**{name: options[name] for name in own & options.keys()})
        for config, own in zip(configs, names, strict=True)
    ]
    for one in made:
        check_fields(one)
    return made
