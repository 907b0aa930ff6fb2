"""The table of corrections beside a model: of which file somebody said what its class really is.

A CSV of one row for each thing said: digest,path,class,when,by. Rows are only ever added; of a file
that was corrected twice the last row counts.
"""

import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path

import numpy as np
from filelock import FileLock

from common.files import digest_of, open_csv
from common.recordings import PICTURES, labels_of
from common.text import printable
from data.examples import Examples

NAME = "corrections.csv"
COLUMNS = ("digest", "path", "class", "when", "by")


@dataclass(frozen=True)
class Correction:
    """What somebody said of a recording or a picture.

    digest: SHA-256 of the file's bytes in hexadecimal; path: where the file is, absolute or below
    the table's folder; label: its class, or where songs may have several, `rock;jazz`; when: UTC,
    ISO 8601 to the second; by: who said it.
    """

    digest: str
    path: str
    label: str
    when: str
    by: str


def beside(model: str | Path) -> Path:
    """The table that belongs to a model file."""
    return Path(model).resolve().with_name(NAME)


def correction_of(file: Path, label: str, by: str) -> Correction:
    """What somebody says now of a file."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Correction(digest_of(file), str(file.resolve()), label, now, by)


def add_correction(table: Path, correction: Correction) -> None:
    """Add a row to the table, which is made if there is none; safe from several processes.

    Raises OSError when it cannot be written, ValueError when it is no table of corrections.
    """
    said = correction
    row = [said.digest, said.path, said.label, said.when, printable(said.by)]
    with FileLock(table.with_name(f".{table.name}.lock")):
        new = not table.is_file() or table.stat().st_size == 0
        columns, text = COLUMNS if new else _columns_of(table), StringIO()
        if not new and not _ends_in_a_line(table):  # as some editors leave it
            text.write("\n")
        cells = dict(zip(COLUMNS, row, strict=True))
        rows = [[cells.get(name, "") for name in columns]]
        csv.writer(text, lineterminator="\n").writerows([columns, *rows] if new else rows)
        with table.open("a", encoding="utf-8", newline="") as out:
            out.write(text.getvalue())


def _columns_of(table: Path) -> Sequence[str]:
    """The names of its columns, which may stand in any order; ValueError if ours are missing."""
    with open_csv(table) as lines:
        columns = next(csv.reader(lines), [])
    if missing := [name for name in COLUMNS if name not in columns]:
        raise ValueError(f"{table} is no table of corrections: no column {', '.join(missing)}")
    return columns


def _ends_in_a_line(table: Path) -> bool:
    with table.open("rb") as content:
        content.seek(-1, os.SEEK_END)
        return content.read() == b"\n"


def read_corrections(
    table: Path, classes: Sequence[str] | None = None, *, several: bool = False
) -> list[Correction]:
    """What holds of each file, the last that was said of it, in the order of the table.

    classes: those that are allowed; several: whether a file may have several of them. Raises
    ValueError, which names the line, where a row is none.
    """
    found: dict[str, Correction] = {}
    _columns_of(table)
    with open_csv(table) as lines:
        rows = csv.DictReader(lines)
        for row in rows:
            where, cells = f"{table} line {rows.line_num}", [row[name] or "" for name in COLUMNS]
            correction = Correction(*cells)
            if not re.fullmatch("[0-9a-f]{64}", correction.digest):
                raise ValueError(f"{where}: {correction.digest!r:.80} is no SHA-256 of a file")
            if not correction.path or not correction.label:
                raise ValueError(f"{where}: path and class must both be given")
            if classes is not None and not labels_of(correction.label, classes, several=several):
                raise ValueError(f"{where}: {correction.label!r:.80} is no class of this model")
            found.pop(correction.digest, None)
            found[correction.digest] = correction
    return list(found.values())


def file_of(correction: Correction, table: Path) -> Path:
    """Where the corrected file is; the table's folder may have been moved with what is in it."""
    return table.parent / correction.path


def sorted_out(
    files: Mapping[str, Path],
) -> tuple[dict[str, list[Path]], dict[str, Path], dict[str, str]]:
    """({digest: its picture}, {digest: what is to be drawn}, {digest: why there is neither})."""
    pictures, recordings, reasons = dict[str, list[Path]](), dict[str, Path](), dict[str, str]()
    for digest, file in files.items():
        if not file.is_file():
            reasons[digest] = "no such file"
        elif file.suffix.lower() in PICTURES:
            pictures[digest] = [file]
        else:
            recordings[digest] = file
    return pictures, recordings, reasons


def with_corrected(
    examples: Examples,
    corrections: Iterable[Correction],
    pictures: Mapping[str, Sequence[Path]],
    left_out: Mapping[str, str],
) -> Examples:
    """The examples and behind them the pictures of what was corrected, by digest.

    These count as augmented: they are trained on and never tested. left_out: {file: why it has no
    pictures}.
    """
    added = [(file, one) for one in corrections for file in pictures.get(one.digest, ())]
    root = examples.root.resolve()  # from where a link leads, ".." goes up
    paths = [os.path.relpath(file.resolve(), root).replace(os.sep, "/") for file, _ in added]
    names = np.array([f"corrected {one.digest[:16]}" for _, one in added], dtype=str)
    several = examples.several_labels
    has = np.zeros((len(added), len(examples.classes)), dtype=bool)
    for row, (_, one) in zip(has, added, strict=True):
        named = labels_of(one.label, examples.classes, several=several)
        row[[examples.classes.index(name) for name in named]] = True
    labels = (has if several else has.argmax(axis=1)).astype(examples.labels.dtype)
    parts = examples.parts
    if parts is not None:
        parts = np.concatenate([parts, np.full(len(added), "train", dtype=parts.dtype)])
    return replace(
        examples,
        parts=parts,
        paths=np.concatenate([examples.paths, np.array(paths, dtype=str)]),
        labels=np.concatenate([examples.labels, labels]),
        groups=np.concatenate([examples.groups, names]),
        recordings=np.concatenate([examples.recordings, names]),
        augmented=np.concatenate([examples.augmented, np.ones(len(added), dtype=bool)]),
        corrected=np.concatenate([examples.is_corrected, np.ones(len(added), dtype=bool)]),
        left_out={**examples.left_out, **left_out},
    )
