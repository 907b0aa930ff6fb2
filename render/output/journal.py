"""What is done: one line of JSON for each recording, so that a second run knows what is missing.

A line is added as soon as its recording is finished. Only the places of the lines are held in
memory, so that it does not grow with the clips of a library.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from render.output import clip_table as table

NAME = ".journal.jsonl"
FAILURE_COLUMNS = ("source", "label", "reason")
Entry = dict[str, Any]


def lines(folder: Path) -> Iterator[tuple[int, Entry]]:
    """(place in the file, entry) of each line; what a kill cut off is passed over."""
    path, place = folder / NAME, 0
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            entry = None
            with suppress(ValueError):
                entry = json.loads(line)
            if entry:
                yield place, entry
            place += len(line)


class Journal:
    """The entries of the finished recordings, by source. close() it, or use it in a `with`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = {entry["source"]: place for place, entry in lines(folder)}
        self.file = (folder / NAME).open("a+b")
        self.lock = Lock()  # joblib takes new jobs, which read here, in a thread of its own

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.places))

    def __getitem__(self, source: str) -> Entry:
        with self.lock:
            self.file.seek(self.places[source])
            line = self.file.readline()
        entry: Entry = json.loads(line)
        return entry

    def get(self, source: str) -> Entry | None:
        """The entry, or None."""
        return self[source] if source in self.places else None

    def add(self, entry: Entry) -> None:
        """Write a recording's entry; it replaces the one before."""
        with self.lock:
            place = self.file.seek(0, 2)
            self.file.write(b"\n" + _line(entry))  # "\n" ends a line that a kill cut off
            self.file.flush()
            self.places[entry["source"]] = place + 1

    def drop(self, source: str) -> None:
        """Forget an entry; it leaves the file with write_tables."""
        del self.places[source]

    def write_tables(self) -> Counter[str]:
        """Write clips.csv, failures.csv and the journal itself, sorted; the clips of each class."""
        order, failures, clips = [], [], Counter[str]()
        columns = table.COLUMNS
        for source in self:
            entry = self[source]
            if entry["reason"]:
                failures.append({name: entry[name] for name in FAILURE_COLUMNS})
            if entry["rows"]:
                row = entry["rows"][0]
                order.append((f"{row['label']}/{row['recording']}__", source))
                clips[row["label"]] += len(entry["rows"])
                columns = (*table.COLUMNS, "split") if "split" in row else columns
        rows = (
            row
            for _, source in sorted(order)
            for row in sorted(self[source]["rows"], key=lambda row: str(row["path"]))
        )
        table.write_csv(self.folder / "clips.csv", columns, rows)
        if failures:
            table.write_csv(self.folder / "failures.csv", FAILURE_COLUMNS, failures)
        else:
            (self.folder / "failures.csv").unlink(missing_ok=True)
        with table.whole_file(self.folder / NAME) as new:
            for source in self:
                new.write(_line(self[source]))
        return clips


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, ensure_ascii=False, sort_keys=True).encode() + b"\n"
