"""What is done: one line of JSON for each recording, so that a second run knows what is missing.

A line is added as soon as its recording is finished. Only the places of the lines are held in
memory, so that it does not grow with the clips of a library.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.files import whole_file, write_csv
from common.recordings import split_labels
from render.output.clip_table import COLUMNS, OPTIONAL, ClipRow, is_plain

NAME = ".journal.jsonl"
FAILURE_COLUMNS = ("source", "label", "reason")


@dataclass(frozen=True)
class Entry:
    """A recording's line of the journal.

    key: changes with everything, other than the sound, that the pictures depend on. file, stamp,
    fingerprint: the sound file, and what tells whether it has changed. rows, crc: its pictures and
    their CRC-32. reason: why it, or its end, was left out; empty when it is complete.
    """

    source: str
    label: str
    key: str = ""
    file: str = ""
    stamp: tuple[int, ...] = ()
    fingerprint: str = ""
    rows: tuple[ClipRow, ...] = ()
    crc: tuple[int, ...] = ()
    reason: str = ""

    def to_json(self) -> bytes:
        """The line of the journal, with its line end."""
        values = vars(self) | {"rows": [row.to_dict() for row in self.rows]}
        try:
            text = json.dumps(values, ensure_ascii=False, sort_keys=True).encode()
        except UnicodeEncodeError:  # the name of the file is not UTF-8
            text = json.dumps(values, sort_keys=True).encode()
        return text + b"\n"

    @classmethod
    def from_dict(cls, values: Any) -> "Entry":
        """The entry that to_json wrote. Raises ValueError when it is none."""
        try:
            entry = cls(
                **{name: str(values[name]) for name in _TEXTS},
                stamp=tuple(map(int, values["stamp"])),
                rows=tuple(map(ClipRow.from_dict, values["rows"])),
                crc=tuple(map(int, values["crc"])),
            )
        except (TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"not an entry of a journal of render ({error!r})") from error
        if not is_plain(entry.label) or len(entry.rows) != len(entry.crc):
            raise ValueError(f"not an entry of a journal of render (label {entry.label})")
        return entry


_TEXTS = ("source", "label", "key", "file", "fingerprint", "reason")


def entries(folder: Path) -> Iterator[tuple[int, Entry]]:
    """(place in the file, entry) of each line; a line that a kill cut off is passed over.

    Raises ValueError naming the file and the line when it holds anything else.
    """
    path, place = folder / NAME, 0
    if not path.exists():
        return
    if not path.is_file():
        raise ValueError(f"{path} is not a regular file; remove it to go on")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                entry = _entry(line)
            except ValueError as error:
                raise ValueError(
                    f"{path}, line {number}: {error}. Remove this file to render everything anew"
                ) from error
            if entry is not None:
                yield place, entry
            place += len(line)


def _entry(line: bytes) -> Entry | None:
    """The entry of a line, None if it is empty or was cut off."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    except RecursionError:
        raise ValueError("not an entry of a journal of render (nested too deeply)") from None
    return Entry.from_dict(values)


class Journal:
    """The entries of the finished recordings, by source. Used in a `with`, which closes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places: dict[str, int] = {}
        self.labels: set[str] = set()
        for place, entry in entries(folder):
            self.places[entry.source] = place
            self.labels.add(entry.label)
        self.file = (folder / NAME).open("a+b")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # what could not be written has been reported
            self.file.close()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.places))

    def __getitem__(self, source: str) -> Entry:
        self.file.seek(self.places[source])
        return Entry.from_dict(json.loads(self.file.readline()))

    def get(self, source: str) -> Entry | None:
        """The entry, or None."""
        return self[source] if source in self.places else None

    def add(self, entry: Entry) -> None:
        """Write a recording's entry; it replaces the one before."""
        place = self.file.seek(0, 2)
        try:
            self.file.write(b"\n" + entry.to_json())  # "\n" ends a line that a kill cut off
            self.file.flush()
        except OSError as error:
            raise OSError(f"cannot write {self.folder / NAME}: {error.strerror}") from error
        self.places[entry.source] = place + 1
        self.labels.add(entry.label)

    def drop(self, source: str) -> None:
        """Forget an entry; it leaves the file with write_tables."""
        del self.places[source]

    def write_tables(self) -> Counter[str]:
        """Write clips.csv, failures.csv and the journal, each sorted; the clips of each class."""
        order, failures, clips, filled = [], [], Counter[str](), set[str]()
        for source in self:
            entry = self[source]
            if entry.reason:
                failures.append((entry.source, entry.label, entry.reason))
            if entry.rows:
                row = entry.rows[0]
                order.append((f"{row.label}/{row.recording}__", source))
                for label in split_labels(row.labels) or (row.label,):
                    clips[label] += len(entry.rows)
                filled |= {name for name in OPTIONAL if getattr(row, name)}
        columns = (*COLUMNS, *(name for name in OPTIONAL if name in filled))
        cells = (
            [values.get(name, "") for name in columns]
            for _, source in sorted(order)
            for row in sorted(self[source].rows, key=lambda row: row.path)
            for values in [row.to_dict()]
        )
        write_csv(self.folder / "clips.csv", columns, cells)
        if failures:
            write_csv(self.folder / "failures.csv", FAILURE_COLUMNS, failures)
        else:
            (self.folder / "failures.csv").unlink(missing_ok=True)
        with whole_file(self.folder / NAME) as new:
            for source in self:
                new.write(self[source].to_json())
        return clips
