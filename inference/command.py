"""What predict.py does: files to answers on the terminal, and into the files that are asked for."""

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from common.cli import BAD_INPUT, DONE, SOME_LEFT_OUT
from common.progress import tracked
from common.text import printable
from inference.cluster import on_cluster
from inference.config import PredictConfig
from inference.inputs import STDIN, expand, standard_input_as_file
from inference.output import Table, as_dict, as_json, lines_of, tag, write_playlists
from inference.prediction import LeftOut, Prediction
from inference.predictor import load
from inference.resume import ResumedTable, resumed_table
from train.models.facts import ModelFacts
from train.run_folder import existing_model

if TYPE_CHECKING:
    from inference.plot import ClipStrips


@dataclass(frozen=True)
class Results:
    """How many answers there are, those that are needed at the end, and what has none.

    kept: all answers for --json, --sort and --plot, else none: a library does not fit in memory.
    """

    n_answered: int
    kept: tuple[Prediction, ...]
    left_out: tuple[LeftOut, ...]


def classify(model_file: str, inputs: list[str], config: PredictConfig) -> int:
    """Classify the inputs and write what the options ask for; the exit code."""
    # Too large a picture is an error of its own; half as large is no matter for a warning.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    if config.cluster and STDIN in inputs:
        raise ValueError(f"--cluster {config.cluster}: standard input is read here; give a file")
    with standard_input_as_file(inputs) as piped:
        files = expand([name for name in inputs if name != STDIN]) + ([piped] if piped else [])
        if config.plot and len(files) != 1:
            raise ValueError(f"--plot draws one recording; {len(files)} files are given")
        file = existing_model(model_file)
        predictor = load(file)
        strips = _clip_strips() if config.plot else None
        with _table(file, predictor.facts, config) as table:
            answered = table.answered if isinstance(table, ResumedTable) else frozenset()
            new = [path for path in files if path not in answered]
            if len(new) < len(files):
                n = len(files) - len(new)
                print(f"note: {n} of {len(files)} are in {config.csv} already", file=sys.stderr)
            if config.cluster:
                results = on_cluster(config.cluster, file, predictor.facts, new, config)
            else:
                results = predictor.predict(
                    new,
                    batch_size=config.batch_size,
                    hop_seconds=config.hop,
                    n_clips=config.clips,
                    on_clip=strips.add if strips else None,
                )
            shown = _with_bar(_without_path_of(piped, results), len(new))
            written = _write(shown, table, config, frozenset(files) & answered)
    if strips and written.kept:
        _plot(Path(config.plot or ""), written.kept[0], strips)
    for one in written.left_out:
        print(f"error: {printable(one.reason)}", file=sys.stderr)
    if written.left_out:
        return SOME_LEFT_OUT if written.n_answered else BAD_INPUT
    return DONE


@contextmanager
def _table(
    model_file: Path, facts: ModelFacts, config: PredictConfig
) -> Iterator[ResumedTable | Table | None]:
    """The table that --csv asks for; one of clips is always begun anew."""
    if not config.csv:
        yield None
    elif config.timeline:
        with Path(config.csv).open("w", newline="", encoding="utf-8") as out:
            yield Table(out, facts.classes, timeline=True)
    else:
        several = facts.several is not None
        with resumed_table(
            Path(config.csv), model_file, config, facts.classes, several=several
        ) as table:
            yield table


def _write(
    results: Iterable[Prediction | LeftOut],
    table: ResumedTable | Table | None,
    config: PredictConfig,
    answered: frozenset[str],
) -> Results:
    """Print, tabulate and tag every answer as soon as it is known; all of them at the end.

    answered: the files that are in the table already.
    """
    kept, left_out, n_answered = list[Prediction](), list[LeftOut](), len(answered)
    keeps = bool(config.json or config.sort or config.plot)
    if keeps and isinstance(table, ResumedTable):
        kept += [one for one in table.earlier() if one.path in answered]
    for result in results:
        if isinstance(result, LeftOut):
            left_out.append(result)
            continue
        n_answered += 1
        if keeps:
            kept.append(result)
        _print(result, config)
        if getattr(sys.stdout, "unread", False) and not (table or keeps or config.tag):
            raise BrokenPipeError  # `| head` has read enough
        if config.tag and result.path != STDIN and (failure := _tag(result, config)):
            left_out.append(failure)
        if table:  # after the tag, which changes the file
            table.add(result)
    if config.json:
        plain = [as_dict(p, config.timeline) for p in kept]
        print(as_json(plain, indent=1))
    if config.sort:
        write_playlists(Path(config.sort), (p for p in kept if p.path != STDIN))
    return Results(n_answered, tuple(kept), tuple(left_out))


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
    """The results, while it is shown how many there are."""
    return tracked(results, "answering", total, "files")


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
    try:
        done = tag(prediction, config.min_probability, config.dry_run)
        print("tag:", printable(done), file=sys.stderr)
    except ValueError as error:
        return LeftOut(prediction.path, str(error))
    return None
