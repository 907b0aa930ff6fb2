"""Answers as lines, tables, JSON, playlists and tags."""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from common.files import write_text
from common.text import UNPRINTABLE, printable
from inference.prediction import NONE, ClipPrediction, Prediction
from render.audio.tags import genres_of, retagged

CERTAIN, LIKELY = 0.9, 0.7  # probabilities from which on a sentence says so


def clock(seconds: float) -> str:
    """m:ss, or h:mm:ss from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def lines_of(prediction: Prediction, top: int, timeline: bool) -> Iterator[str]:
    """The tab-separated lines for one file: its class, its runners-up, and its clips if asked.

    Of several labels, a line for each class that is named, or that there is none.
    """
    n_named = max(1, len(prediction.labels))
    for rank, (label, probability) in enumerate(prediction.top(max(top, n_named)), start=1):
        what = "Predicted class:" if rank <= n_named else f"{rank}."
        if not prediction.labels and rank == 1:
            what = "No class reaches its threshold; nearest:"
        cells = [prediction.path, f"{what} {label}", f"{probability:.4f}"]
        if rank == 1 and prediction.unsure:
            cells[1] = f"Unsure, {prediction.unsure}; nearest: {label}"
        if rank == 1 and (clips := prediction.timeline):
            agreeing = round(prediction.agreement * len(clips))
            cells.append(f"{agreeing} of {len(clips)} clips agree")
        yield "\t".join(map(printable, cells))
    for clip in prediction.timeline if timeline else ():
        span = f"{clock(clip.start_s)}-{clock(clip.end_s)}"
        what = f"unsure, {clip.unsure}" if clip.unsure else clip.label or NONE
        cells = [prediction.path, span, what, f"{clip.probability:.4f}"]
        yield "\t".join(map(printable, cells))


def sentence(p: Prediction) -> str:
    """The answer for people: the class, how certain it is, and which parts sound like another."""
    ranked = [f"{name} ({probability:.0%})" for name, probability in p.top(2)]
    if p.unsure:
        return f"Unsure: {p.unsure}. The nearest class is {ranked[0]}."
    if p.several:
        named = [f"{name} ({p.probabilities[name]:.0%})" for name in p.labels]
        if not named:
            return f"None of the classes. The nearest is {ranked[0]}."
        return " and ".join([", ".join(named[:-1])] * (len(named) > 1) + named[-1:]) + "."
    said = f"Almost certainly {ranked[0]}"
    if p.mixed:
        said = f"Mixed: {' and '.join(ranked)}"
    elif p.probability < LIKELY:
        said = f"Perhaps {', otherwise '.join(ranked)}"
    elif p.probability < CERTAIN:
        said = f"Probably {ranked[0]}"
    return "; ".join([said, *_other_parts(p)]) + "."


def _other_parts(p: Prediction) -> Iterator[str]:
    """Of the beginning, the middle and the end, those most of whose clips have another class."""
    if len(p.timeline) < 3:
        return
    labels: list[list[str]] = [[], [], []]
    for clip in p.timeline:
        middle = (clip.start_s + clip.end_s) / 2
        labels[min(2, int(3 * middle / p.timeline[-1].end_s))].append(clip.label)
    for name, part in zip(("beginning", "middle", "end"), labels, strict=True):
        commonest, n = Counter(part).most_common(1)[0] if part else (p.label, 0)
        if commonest != p.label and 2 * n > len(part):
            yield f"the {name} sounds like {commonest}"


def as_json(plain: Any, *, indent: int | None = None) -> str:
    """JSON in which only what cannot be seen is written as \\u and a number."""
    return printable(json.dumps(plain, indent=indent, ensure_ascii=False), keep="\n")


def as_dict(prediction: Prediction, timeline: bool) -> dict[str, Any]:
    """The prediction as plain data for JSON; `unsure` says why, or is null.

    Of several labels also `classes`, all that are named, the likeliest first.
    """
    p = prediction
    plain: dict[str, Any] = {"path": p.path} | _answer(p)
    if p.several:
        plain["classes"] = list(p.labels)
    if p.timeline:
        plain |= {"seconds": p.timeline[-1].end_s, "agreement": p.agreement}
    if timeline:
        plain["timeline"] = [
            {"start_s": clip.start_s, "end_s": clip.end_s} | _answer(clip) for clip in p.timeline
        ]
    return plain


def _answer(p: Prediction | ClipPrediction) -> dict[str, Any]:
    return {
        "class": p.label,
        "probability": p.probability,
        "unsure": p.unsure,
        "probabilities": p.probabilities,
    }


COLUMNS = ("path", "start_s", "end_s", "class", "probability", "agreement", "unsure")


class Table:
    """A CSV file that has every answer as soon as it is there: an interruption loses none.

    A row per file, or with `timeline` a row per clip. header: the names of the columns come first.
    """

    def __init__(
        self, out: TextIO, classes: Sequence[str], timeline: bool, *, header: bool = True
    ) -> None:
        self._out, self._classes, self._timeline = out, classes, timeline
        self._writer = csv.writer(out, lineterminator="\n")
        if header:
            self.write([*COLUMNS, *map(printable, classes)])

    def write(self, cells: Sequence[str]) -> None:
        """Write a row as it is."""
        self._writer.writerow(cells)

    def add(self, p: Prediction) -> None:
        """Write the row, or rows, of one file."""
        if self._timeline and p.timeline:
            for clip in p.timeline:
                self._row(p.path, (clip.start_s, clip.end_s), clip, "")
        elif p.timeline:
            self._row(p.path, (0.0, p.timeline[-1].end_s), p, f"{p.agreement:.4f}")
        else:
            self._row(p.path, (), p, "")
        self._out.flush()

    def _row(
        self, path: str, span: Sequence[float], p: Prediction | ClipPrediction, agreement: str
    ) -> None:
        place = [f"{second:.3f}" for second in span] or ["", ""]
        answer = [p.label, f"{p.probability:.6f}", agreement, p.unsure or ""]
        cells = [f"{p.probabilities[name]:.6f}" for name in self._classes]
        self.write([printable(path), *place, *map(printable, answer), *cells])


def write_playlists(
    folder: Path, predictions: Iterable[Prediction], *, relative: bool = False
) -> list[Path]:
    """Write folder/<class>.m3u8 with the absolute paths of its files, and unsure.m3u8.

    A file with several labels is in the playlist of each, one with none in none.m3u8.
    relative: paths from the folder, which may then move with the music to another disk. M3U in
    UTF-8 (RFC 8216 names the suffix). Playlists of the same names are replaced.
    """
    lists: dict[str, list[str]] = {}
    for p in predictions:
        path = Path(p.path).resolve()
        # A line break would end the entry, and half a character cannot be written: as an address.
        entry = path.as_uri() if UNPRINTABLE.search(str(path)) else str(path)
        if relative and not UNPRINTABLE.search(str(path)):
            entry = str(Path(os.path.relpath(path, folder.resolve())).as_posix())
            entry = f"./{entry}" if entry.startswith("#") else entry  # else it is a comment
        for label in ("unsure",) if p.unsure else p.labels or (NONE,):
            name = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", label).lstrip(".")
            lists.setdefault(printable(name) or "_", []).append(entry)
    written = []
    for name, paths in sorted(lists.items()):
        file = folder / f"{name}.m3u8"
        write_text(file, "\n".join(["#EXTM3U", *paths]) + "\n")
        written.append(file)
    return written


def tag(prediction: Prediction, min_probability: float, dry_run: bool) -> str:
    """Write the class as genre into the file's tags, or with dry_run only say so; what was done.

    A file whose answer is unsure or less likely than min_probability is left as it is; of several
    labels, those that are likely enough are written. Raises ValueError when the file's format takes
    no tags or its tags cannot be written.
    """
    path = Path(prediction.path).resolve()
    if not prediction.timeline:
        return f"{prediction.path}: left as it is: not a recording"
    if prediction.unsure:
        return f"{prediction.path}: left as it is: unsure, {prediction.unsure}"
    if not prediction.labels:
        return f"{prediction.path}: left as it is: no class reaches its threshold"
    labels, likely = prediction.labels, prediction.probability
    if prediction.several:
        likely = prediction.probabilities[labels[0]]
        labels = tuple(one for one in labels if prediction.probabilities[one] >= min_probability)
    if likely < min_probability:
        return (
            f"{prediction.path}: left as it is: {prediction.label} has only "
            f"{likely:.2f}, less than {min_probability:.2f}"
        )
    before, after = ", ".join(genres_of(path)), ", ".join(labels)
    if before == after:
        return f"{prediction.path}: genre is {before} already"
    if not dry_run:
        with retagged(path, labels) as copy:
            copy.replace(path)
    verb = "genre would change" if dry_run else "genre changed"
    return f"{prediction.path}: {verb} from {before or 'nothing'} to {after}"
