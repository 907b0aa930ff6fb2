"""Files to answers, batch by batch: the next is decoded and rendered while the network works."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

import numpy as np

from data.tabular.csv_file import read_rows
from inference.clips import Clip, is_picture
from inference.model import Model
from inference.prediction import LeftOut, Prediction, of_picture, of_recording

READ_AHEAD = 64  # pictures that are read before the network has seen them

OnClip = Callable[[Clip, np.ndarray], None]


@dataclass(frozen=True)
class _End:
    """A file has no more clips. reason: why it is left out, if it is."""

    path: str
    reason: str | None = None


@dataclass(frozen=True)
class _AnsweredClip:
    """What is kept of a clip until its file ends. row: its probabilities float (C,)."""

    span: tuple[float, float] | None
    unsure: str | None
    row: np.ndarray


def predict_tables(model: Model, files: list[str]) -> Iterator[Prediction | LeftOut]:
    """The answer for each row of each table, in order, or why a table cannot be read."""
    for file in files:
        try:
            names, values = read_rows(Path(file), model.facts.columns)
        except ValueError as error:
            yield LeftOut(file, str(error))
            continue
        rows = model.probabilities(values) if len(values) else ()
        for name, row in zip(names, rows, strict=True):
            yield of_picture(name, model.classes, row, None)


def predict_files(
    model: Model,
    files: list[str],
    *,
    batch_size: int | None,
    hop_seconds: float | None,
    on_clip: OnClip | None,
) -> Iterator[Prediction | LeftOut]:
    """As `inference.predictor.Predictor.predict`, for pictures and recordings."""
    batch_size = batch_size or model.network.batch_size
    with (
        ThreadPoolExecutor() as readers,
        closing(_clips_of_all(model, files, hop_seconds, readers)) as items,
    ):
        yield from _answers(model, items, batch_size, on_clip)


def predict_clips(
    model: Model, path: str, clips: Iterable[Clip], on_clip: OnClip | None
) -> Prediction:
    """The answer for one file whose clips come from elsewhere; they may raise ValueError."""
    items: Iterable[Clip | _End] = chain(clips, [_End(path)])
    (result,) = _answers(model, items, model.network.batch_size, on_clip)
    assert isinstance(result, Prediction)
    return result


def _answers(
    model: Model, items: Iterable[Clip | _End], batch_size: int, on_clip: OnClip | None
) -> Iterator[Prediction | LeftOut]:
    """An answer at the end of each file; the next batch is made while the network works."""
    waiting = iter(items)
    answered: list[_AnsweredClip] = []  # of the file whose clips are coming
    with ThreadPoolExecutor(1) as ahead:
        upcoming = ahead.submit(_take, waiting, batch_size)
        while batch := upcoming.result():
            upcoming = ahead.submit(_take, waiting, batch_size)
            pictures = [item.pixels for item in batch if isinstance(item, Clip)]
            rows = iter(model.probabilities(np.stack(pictures)) if pictures else ())
            for item in batch:
                if isinstance(item, Clip):
                    answered.append(_AnsweredClip(item.span, item.unsure, next(rows)))
                    if on_clip:
                        on_clip(item, answered[-1].row)
                    continue
                if item.reason is None:
                    yield _prediction(model, item.path, answered)
                else:
                    yield LeftOut(item.path, item.reason)
                answered = []


def _take(items: Iterator[Clip | _End], n_clips: int) -> list[Clip | _End]:
    """The next items, up to and with the n-th clip and the ends behind it; [] when none is left."""
    taken: list[Clip | _End] = []
    for item in items:
        taken.append(item)
        n_clips -= isinstance(item, Clip)
        if n_clips == 0:
            break
    return taken


def _clips_of_all(
    model: Model, files: list[str], hop: float | None, readers: ThreadPoolExecutor
) -> Generator[Clip | _End]:
    """The clips of every file, each file's followed by its end; pictures are read in parallel."""
    for start in range(0, len(files), READ_AHEAD):
        some = files[start : start + READ_AHEAD]
        kinds = readers.map(is_picture, some)
        for picture, pairs in groupby(zip(some, kinds, strict=True), key=lambda pair: pair[1]):
            paths = [path for path, _ in pairs]
            if picture:
                for path, read in zip(paths, readers.map(_reader(model), paths), strict=True):
                    if isinstance(read, Clip):
                        yield read
                        yield _End(path)
                    else:
                        yield _End(path, read)
            else:
                for path in paths:
                    yield from _clips_of_recording(model, path, hop)


def _reader(model: Model) -> Callable[[str], Clip | str]:
    def read(path: str) -> Clip | str:
        try:
            return model.of_picture(path)
        except ValueError as error:
            return str(error)

    return read


def _clips_of_recording(model: Model, path: str, hop: float | None) -> Iterator[Clip | _End]:
    try:
        yield from model.of_recording(path, hop)
    except ValueError as error:
        yield _End(path, str(error))
    else:
        yield _End(path)


def _prediction(model: Model, path: str, clips: list[_AnsweredClip]) -> Prediction:
    if clips[0].span is None:
        return of_picture(path, model.classes, clips[0].row, clips[0].unsure)
    spans = [clip.span for clip in clips if clip.span]
    rows = np.stack([clip.row for clip in clips])
    return of_recording(path, model.classes, spans, rows, [clip.unsure for clip in clips])
