"""A table of answers that an interrupted command goes on with.

Beside FILE.csv stands FILE.csv.journal: a JSON line for what was asked (model file, options), and
one for each file whose answer is in the table, with its size and times. The answer counts while all
of these are the same, so a changed song is answered anew, and so is one whose row was cut off.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from common.files import digest_of, write_text
from common.text import printable
from inference.config import PredictConfig
from inference.output import Table
from inference.prediction import Prediction

Stamp = list[int]


class ResumedTable:
    """The table of a command, open at its end. answered: paths that an earlier one has answered.

    several: the model gives several labels.
    """

    def __init__(
        self, table: Table, journal: TextIO, file: Path, answered: frozenset[str], *, several: bool
    ) -> None:
        self.answered, self._several = answered, several
        self._table, self._journal, self._file = table, journal, file

    def add(self, prediction: Prediction) -> None:
        """Write the answer, and then that it is there: a kill may come between."""
        self._table.add(prediction)
        self._journal.write(json.dumps([prediction.path, _stamp(prediction.path)]) + "\n")
        self._journal.flush()

    def earlier(self) -> Iterator[Prediction]:
        """The answers of `answered`, without timelines."""
        paths = {printable(path): path for path in self.answered}
        for row in _rows(self._file):
            if path := paths.get(row["path"]):
                yield replace(_prediction(path, row), several=self._several)


@contextmanager
def resumed_table(
    file: Path,
    model_file: Path,
    config: PredictConfig,
    classes: Sequence[str],
    *,
    several: bool = False,
) -> Iterator[ResumedTable]:
    """The table in `file`, with what an earlier call for the same model and options wrote there.

    several: the model gives several labels.
    """
    asked = json.dumps(
        {
            "model": digest_of(model_file),
            "hop": config.hop,
            "clips": config.clips,
        }
    )
    journal = file.with_name(file.name + ".journal")
    known = _answered(journal, asked)
    rows = {row["path"]: row for row in _rows(file)} if known else {}
    kept = {path: rows[printable(path)] for path in known if printable(path) in rows}
    _rewrite(file, classes, kept.values())
    lines = [asked, *(json.dumps([path, known[path]]) for path in kept)]
    write_text(journal, "\n".join(lines) + "\n")
    answered = frozenset(kept)
    with (
        file.open("a", newline="", encoding="utf-8") as out,
        journal.open("a", encoding="utf-8") as entries,
    ):
        table = Table(out, classes, timeline=False, header=False)
        yield ResumedTable(table, entries, file, answered, several=several)


def _answered(journal: Path, asked: str) -> dict[str, Stamp]:
    """The files that were answered and are what they were; none if other things were asked."""
    found: dict[str, Stamp] = {}
    with suppress(FileNotFoundError), journal.open(encoding="utf-8") as lines:
        if next(lines, "").strip() != asked:
            return {}
        for line in lines:
            with suppress(ValueError):  # what a kill cut off
                path, stamp = json.loads(line)
                found[path] = stamp
    return {path: stamp for path, stamp in found.items() if _stamp(path) == stamp}


def _rewrite(file: Path, classes: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    """Write the table anew with these rows alone, whole or not at all."""
    text = io.StringIO()
    table = Table(text, classes, timeline=False)
    for row in rows:
        table.write(list(row.values()))
    write_text(file, text.getvalue())


def _rows(file: Path) -> Iterator[dict[str, str]]:
    """The complete rows of a table."""
    with suppress(FileNotFoundError), file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if None not in row and None not in row.values() and row["probability"]:
                yield row


def _prediction(path: str, row: dict[str, str]) -> Prediction:
    _, _, _, label, probability, agreement, unsure, *rest = row.values()
    names = list(row)[-len(rest) :]
    probabilities = dict(zip(names, map(float, rest), strict=True))
    of_clips = float(agreement) if agreement else 1.0
    return Prediction(path, label, float(probability), probabilities, unsure or None, of_clips)


def _stamp(path: str) -> Stamp:
    """Size and time of the last change of content, in ns; nothing for a file that is gone."""
    try:
        facts = Path(path).stat()
    except OSError:
        return []
    return [facts.st_size, facts.st_mtime_ns]
