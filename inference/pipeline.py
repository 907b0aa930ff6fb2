"""Files to answers, batch by batch: the next is decoded and rendered while the network works."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from data.images.read import EXTENSIONS, read_picture
from data.tabular.csv_file import read_rows
from inference.model import Model
from inference.prediction import LeftOut, Prediction, of_picture, of_recording

# What counts as a picture by its first bytes: no format whose reader starts another program.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
READ_AHEAD = 64  # pictures that are read before the network has seen them


@dataclass(frozen=True)
class Clip:
    """A picture of the network's size, uint8 (height, width, 3); span: its seconds if of sound."""

    path: str
    pixels: np.ndarray
    span: tuple[float, float] | None
    unsure: str | None


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


def is_picture(path: str | Path) -> bool:
    """Whether the file's first bytes, whatever its name, are those of a picture."""
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except Image.DecompressionBombError:
        return True
    except (OSError, ValueError, SyntaxError):
        return False


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
        closing(_clips_of_all(model, files, hop_seconds, readers)) as clips,
        ThreadPoolExecutor(1) as ahead,
    ):
        answered: list[_AnsweredClip] = []  # of the file whose clips are coming
        upcoming = ahead.submit(_take, clips, batch_size)
        while items := upcoming.result():
            upcoming = ahead.submit(_take, clips, batch_size)
            pictures = [item.pixels for item in items if isinstance(item, Clip)]
            rows = iter(model.probabilities(np.stack(pictures)) if pictures else ())
            for item in items:
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
            pixels = model.read(path)
        except ValueError as error:
            return str(error)
        return Clip(path, pixels, None, model.why_unsure(pixels))

    return read


def _clips_of_recording(model: Model, path: str, hop: float | None) -> Iterator[Clip | _End]:
    try:
        for start, end, picture in _pictures_of(model, path, hop):
            pixels = model.fit(picture)
            yield Clip(path, pixels, (start, end), model.why_unsure(pixels))
    except ValueError as error:
        yield _End(path, str(error))
    else:
        yield _End(path)


def _pictures_of(
    model: Model, path: str, hop: float | None
) -> Iterator[tuple[float, float, Image.Image]]:
    if Path(path).suffix.lower() in EXTENSIONS:
        read_picture(path)  # it is none, or is_picture would have said so: raises the reason
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file")
    if model.facts.render is None:
        raise ValueError(
            f"{path}: not a picture, and the model file has no rendering settings for recordings: "
            "it was trained on pictures that python -m render did not make"
        )
    from render import pictures_of

    settings = model.facts.render
    return pictures_of(path, settings, hop or settings.clip_seconds / 2)


def _prediction(model: Model, path: str, clips: list[_AnsweredClip]) -> Prediction:
    if clips[0].span is None:
        return of_picture(path, model.classes, clips[0].row, clips[0].unsure)
    spans = [clip.span for clip in clips if clip.span]
    rows = np.stack([clip.row for clip in clips])
    return of_recording(path, model.classes, spans, rows, [clip.unsure for clip in clips])
