"""Files to answers, batch by batch: the next is decoded and rendered while the network works.

Many files are answered side by side instead, each by one core from its bytes to its answer.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from common.recordings import PICTURES, SOUNDS
from data.tabular.csv_file import read_rows, some_of
from inference.clips import Clip, Cutting, is_picture
from inference.model import Model
from inference.prediction import LeftOut, Prediction, of_picture, of_recording

READ_AHEAD = 64  # pictures that are read before the network has seen them
FILES_AHEAD = 4  # of each core, that are begun while an earlier file is still being answered

OnClip = Callable[[Clip, np.ndarray], None]
Answer = TypeVar("Answer")


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
        if Path(file).suffix.lower() in {*PICTURES, *SOUNDS}:
            columns = some_of(model.facts.columns)
            yield LeftOut(
                file,
                f"{file}: the model, trained on a table, answers rows of a CSV with the columns "
                f"{columns}; a run on songs or pictures has a model that answers these",
            )
            continue
        try:
            names, values = read_rows(Path(file), model.facts.columns)
        except ValueError as error:
            yield LeftOut(file, str(error))
            continue
        rows = model.probabilities(values) if len(values) else ()
        for name, row in zip(names, rows, strict=True):
            yield of_picture(name, model.classes, row, None, model.facts.several)


def predict_files(
    model: Model,
    files: list[str],
    *,
    batch_size: int,
    cutting: Cutting,
    on_clip: OnClip | None,
) -> Iterator[Prediction | LeftOut]:
    """As `inference.predictor.Predictor.predict`, for pictures and recordings."""
    with (
        ThreadPoolExecutor() as readers,
        closing(_clips_of_all(model, files, cutting, readers)) as items,
    ):
        yield from _answers(model, items, batch_size, on_clip)


def predict_side_by_side(
    model: Model, files: Iterable[str], *, batch_size: int, cutting: Cutting, n_threads: int
) -> Iterator[Prediction | LeftOut]:
    """As `predict_files`: n_threads files at once, each on one core, the answers in order.

    The model's network must take one core for each of its calls. Nothing is shared between two
    files but the network, so no core waits for another. Memory does not grow with their number.
    """
    answer = partial(predict_file, model, batch_size=batch_size, cutting=cutting)
    yield from in_order(answer, files, n_threads, model.network.begin_thread)


def in_order(
    answer: Callable[[str], Answer],
    files: Iterable[str],
    n_threads: int,
    begin_thread: Callable[[], None],
) -> Iterator[Answer]:
    """The answers for the files, in their order, n_threads at a time and few ahead of the last.

    begin_thread: called in each thread before its first file.
    """
    waiting: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(n_threads, initializer=begin_thread) as pool:
        try:
            for path in files:
                waiting.append(pool.submit(answer, path))
                if len(waiting) > FILES_AHEAD * n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def predict_file(
    model: Model, path: str, *, batch_size: int, cutting: Cutting
) -> Prediction | LeftOut:
    """The answer for one file, all by the calling thread; or why it has none."""
    answered: list[_AnsweredClip] = []
    try:
        one = is_picture(path)
        clips = iter([model.of_picture(path)]) if one else model.of_recording(path, cutting)
        while batch := list(islice(clips, batch_size)):
            rows = model.probabilities(np.stack([clip.pixels for clip in batch]))
            answered += map(_answered, batch, rows)
        return _prediction(model, path, answered)
    except ValueError as error:
        return LeftOut(path, str(error))


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
                    answered.append(_answered(item, next(rows)))
                    if on_clip:
                        on_clip(item, answered[-1].row)
                    continue
                if item.reason is None:
                    yield _prediction(model, item.path, answered)
                else:
                    yield LeftOut(item.path, item.reason)
                answered = []


def _answered(clip: Clip, row: np.ndarray) -> _AnsweredClip:
    return _AnsweredClip(clip.span, clip.unsure, row)


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
    model: Model, files: list[str], cutting: Cutting, readers: ThreadPoolExecutor
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
                    yield from _clips_of_recording(model, path, cutting)


def _reader(model: Model) -> Callable[[str], Clip | str]:
    def read(path: str) -> Clip | str:
        try:
            return model.of_picture(path)
        except ValueError as error:
            return str(error)

    return read


def _clips_of_recording(model: Model, path: str, cutting: Cutting) -> Iterator[Clip | _End]:
    try:
        yield from model.of_recording(path, cutting)
    except ValueError as error:
        yield _End(path, str(error))
    else:
        yield _End(path)


def _prediction(model: Model, path: str, clips: list[_AnsweredClip]) -> Prediction:
    several = model.facts.several
    if clips[0].span is None:
        return of_picture(path, model.classes, clips[0].row, clips[0].unsure, several)
    spans = [clip.span for clip in clips if clip.span]
    rows = np.stack([clip.row for clip in clips])
    unsure = [clip.unsure for clip in clips]
    return of_recording(path, model.classes, spans, rows, unsure, several)
