"""Classify recordings and pictures with a model file.

python predict.py model.pth song.mp3 [more.flac picture.png FOLDER 'glob*.wav' ...]
python predict.py model.onnx song.mp3           without torch: starts in half a second
python predict.py model.pth - < song.mp3        from standard input

A recording of any length is cut into overlapping clips, rendered as the training's, and answered
with the mean of their probabilities. "Unsure" marks what is unlike the training pictures.

From Python: from predict import load; load("model.pth")("song.mp3").label
"""

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from common.cli import BAD_INPUT, DONE, SOME_LEFT_OUT, config_from, flag, make_parser, option, run
from inference.inputs import STDIN, expand, standard_input_as_file
from inference.output import Table, as_dict, lines_of, write_playlists
from inference.pipeline import predict
from inference.prediction import Moment, Prediction
from inference.predictor import Model, load

if TYPE_CHECKING:
    from inference.plot import Strips

__all__ = ["Model", "Moment", "Prediction", "load", "predict"]


@dataclass(frozen=True)
class PredictConfig:
    """Prediction"""

    top: int = option(1, "how many classes to show for each file, the likeliest first")
    timeline: bool = option(False, "also a line (in JSON and CSV an entry) per clip of a recording")
    hop: float | None = option(None, "seconds from clip to clip; default half a clip")
    plot: str | None = option(None, "draw one recording and its classes over time to this file")
    json: bool = option(False, "print one JSON list, at the end, instead of lines")
    jsonl: bool = option(False, "print one JSON object per line, each as soon as it is known")
    csv: str | None = option(None, "also write path, class and every probability to this file")
    sort: str | None = option(None, "write one M3U playlist per class into this folder")
    tag: bool = option(False, "write the class as genre into the recordings' tags")
    dry_run: bool = option(False, "with --tag: only say what would be written")
    min_probability: float = option(0.5, "with --tag: leave files whose class is less likely")
    batch_size: int | None = option(None, "clips at a time; default 4, on a GPU 64")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        for name in ("top", "batch_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{flag(name)} {getattr(self, name)}: at least 1")
        if self.hop is not None and not 0.05 <= self.hop <= 3600:
            raise ValueError(f"--hop {self.hop}: seconds in 0.05 to 3600")
        if not 0 <= self.min_probability <= 1:
            raise ValueError(f"--min-probability {self.min_probability}: must be in [0, 1]")
        if self.dry_run and not self.tag:
            raise ValueError("--dry-run shows what --tag would write: give --tag as well")
        if self.json and self.jsonl:
            raise ValueError("--json and --jsonl both: give one of them")


def main() -> int:
    """Parse, classify, print; the exit code says whether some files were left out."""
    parser = make_parser("python predict.py", (__doc__ or "").strip(), PredictConfig)
    parser.add_argument("model", help="model.pth or model.onnx of a run")
    parser.add_argument("inputs", nargs="+", help="recordings, pictures, folders, patterns, or -")
    args = parser.parse_args()
    config = config_from(args, PredictConfig)
    # Too large a picture is an error of its own; half as large is no matter for a warning.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    with standard_input_as_file(args.inputs) as from_stdin:
        files = expand([name for name in args.inputs if name != STDIN])
        files += [from_stdin] if from_stdin else []
        if config.plot and len(files) != 1:
            raise ValueError(f"--plot draws one recording; {len(files)} files are given")
        left_out: list[str] = []
        predictions = _answer_all(load(args.model), files, from_stdin, config, left_out)
    for reason in left_out:
        print(f"error: {reason.replace(from_stdin or STDIN, STDIN)}", file=sys.stderr)
    if left_out:
        return SOME_LEFT_OUT if predictions else BAD_INPUT
    return DONE


def _answer_all(
    model: Model,
    files: list[str],
    from_stdin: str | None,
    config: PredictConfig,
    left_out: list[str],
) -> list[Prediction]:
    """Classify every file and write what the options ask for; the answers in order."""
    strips = _strips() if config.plot else None
    with ExitStack() as stack:
        table = None
        if config.csv:
            out = stack.enter_context(Path(config.csv).open("w", newline="", encoding="utf-8"))
            table = Table(out, model.classes, config.timeline)
        answers: list[Prediction] = []
        for prediction in _with_bar(
            predict(
                model, files, left_out=left_out, batch_size=config.batch_size,
                hop_seconds=config.hop, on_clip=strips.add if strips else None,
            ), len(files), left_out,
        ):  # fmt: skip
            if prediction.path == from_stdin:
                prediction = replace(prediction, path=STDIN)
            answers.append(prediction)
            if config.jsonl:
                print(json.dumps(as_dict(prediction, config.timeline), ensure_ascii=False))
            elif not config.json:
                print(*lines_of(prediction, config.top, config.timeline), sep="\n")
            sys.stdout.flush()
            if table:
                table.add(prediction)
            if config.tag and prediction.path != STDIN:
                _tag(prediction, config, left_out)
    if config.json:
        print(json.dumps([as_dict(p, config.timeline) for p in answers], indent=1,
                         ensure_ascii=False))  # fmt: skip
    if config.sort:
        write_playlists(Path(config.sort), (p for p in answers if p.path != STDIN))
    if strips and answers:
        _plot(Path(config.plot or ""), answers[0], strips)
    return answers


def _with_bar(
    predictions: Iterator[Prediction], total: int, left_out: list[str]
) -> Iterator[Prediction]:
    """The predictions, with a bar on a terminal once they take longer than a second."""
    from tqdm import tqdm

    with tqdm(total=total, unit=" files", leave=False, disable=None, delay=1) as bar:
        for n, prediction in enumerate(predictions, start=1):
            bar.update(n + len(left_out) - bar.n)
            yield prediction


def _strips() -> "Strips":
    from inference.plot import Strips  # matplotlib takes a second to import

    return Strips()


def _plot(file: Path, prediction: Prediction, strips: "Strips") -> None:
    from inference.plot import figure

    try:
        figure(prediction, strips).savefig(file, dpi=130)
    except ValueError as error:
        if "format" in str(error).lower():  # matplotlib names the formats it writes
            raise ValueError(f"--plot {file}: {error}") from None
        raise


def _tag(prediction: Prediction, config: PredictConfig, left_out: list[str]) -> None:
    from inference.tags import tag

    try:
        print("tag:", tag(prediction, config.min_probability, config.dry_run), file=sys.stderr)
    except ValueError as error:
        left_out.append(str(error))


if __name__ == "__main__":
    run(main)
