"""What predict.py does: files to answers on the terminal, and into the files that are asked for."""

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from common.cli import BAD_INPUT, DONE, SOME_LEFT_OUT
from common.text import printable
from inference.config import PredictConfig
from inference.inputs import STDIN, expand, standard_input_as_file
from inference.output import Table, as_dict, as_json, lines_of, write_playlists
from inference.prediction import LeftOut, Prediction
from inference.predictor import load

if TYPE_CHECKING:
    from inference.plot import ClipStrips


@dataclass(frozen=True)
class Results:
    """Answers in order, and what has none."""

    predictions: tuple[Prediction, ...]
    left_out: tuple[LeftOut, ...]


def classify(model_file: str, inputs: list[str], config: PredictConfig) -> int:
    """Classify the inputs and write what the options ask for; the exit code."""
    # Too large a picture is an error of its own; half as large is no matter for a warning.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    with standard_input_as_file(inputs) as piped:
        files = expand([name for name in inputs if name != STDIN]) + ([piped] if piped else [])
        if config.plot and len(files) != 1:
            raise ValueError(f"--plot draws one recording; {len(files)} files are given")
        predictor = load(model_file)
        strips = _clip_strips() if config.plot else None
        results = predictor.predict(
            files,
            batch_size=config.batch_size,
            hop_seconds=config.hop,
            on_clip=strips.add if strips else None,
        )
        shown = _with_bar(_without_path_of(piped, results), len(files))
        written = _write(shown, predictor.classes, config)
    if strips and written.predictions:
        _plot(Path(config.plot or ""), written.predictions[0], strips)
    for one in written.left_out:
        print(f"error: {printable(one.reason)}", file=sys.stderr)
    if written.left_out:
        return SOME_LEFT_OUT if written.predictions else BAD_INPUT
    return DONE


def _write(
    results: Iterable[Prediction | LeftOut], classes: Sequence[str], config: PredictConfig
) -> Results:
    """Print, tabulate and tag every answer as soon as it is known; all of them at the end."""
    predictions, left_out = list[Prediction](), list[LeftOut]()
    with ExitStack() as stack:
        table = None
        if config.csv:
            out = stack.enter_context(Path(config.csv).open("w", newline="", encoding="utf-8"))
            table = Table(out, classes, config.timeline)
        for result in results:
            if isinstance(result, LeftOut):
                left_out.append(result)
                continue
            predictions.append(result)
            _print(result, config)
            if table:
                table.add(result)
            if config.tag and result.path != STDIN and (failure := _tag(result, config)):
                left_out.append(failure)
    if config.json:
        plain = [as_dict(p, config.timeline) for p in predictions]
        print(as_json(plain, indent=1))
    if config.sort:
        write_playlists(Path(config.sort), (p for p in predictions if p.path != STDIN))
    return Results(tuple(predictions), tuple(left_out))


def _print(prediction: Prediction, config: PredictConfig) -> None:
    if config.jsonl:
        print(as_json(as_dict(prediction, config.timeline)))
    elif not config.json:
        print(*lines_of(prediction, config.top, config.timeline), sep="\n")
    sys.stdout.flush()


def _without_path_of(
    piped: str | None, results: Iterable[Prediction | LeftOut]
) -> Iterator[Prediction | LeftOut]:
    """The results; the temporary file that held standard input is named as it was asked for."""
    for result in results:
        if result.path != piped:
            yield result
        elif isinstance(result, LeftOut):
            yield LeftOut(STDIN, result.reason.replace(piped, STDIN))
        else:
            yield replace(result, path=STDIN)


def _with_bar(
    results: Iterable[Prediction | LeftOut], total: int
) -> Iterable[Prediction | LeftOut]:
    """The results, with a bar on a terminal once they take longer than a second."""
    from tqdm import tqdm

    return tqdm(results, total=total, unit=" files", leave=False, disable=None, delay=1)


def _clip_strips() -> "ClipStrips":
    from inference.plot import ClipStrips  # matplotlib takes a second to import

    return ClipStrips()


def _plot(file: Path, prediction: Prediction, strips: "ClipStrips") -> None:
    from common.plots import save_figure
    from inference.plot import timeline_figure

    try:
        save_figure(timeline_figure(prediction, strips), file)
    except ValueError as error:
        if "format" in str(error).lower():  # matplotlib names the formats it writes
            raise ValueError(f"--plot {file}: {error}") from None
        raise


def _tag(prediction: Prediction, config: PredictConfig) -> LeftOut | None:
    """Tag a recording and print what was done; why that failed, if it did."""
    from inference.tags import tag

    try:
        done = tag(prediction, config.min_probability, config.dry_run)
        print("tag:", printable(done), file=sys.stderr)
    except ValueError as error:
        return LeftOut(prediction.path, str(error))
    return None
