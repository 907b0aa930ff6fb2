"""The journal of an index: what was done to tags, and what it takes to undo it."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inference.library.index import Index, as_utf8, path_of


@dataclass(frozen=True)
class JournalEntry:
    """What was done to a file's tags. run: of the command; mtime_ns: the file's before.

    undo: what `inference.library.delta.restored` needs to make the old file of the new one.
    """

    id: int
    run: int
    at: str
    path: Path
    before: tuple[str, ...]
    after: tuple[str, ...]
    digest_before: str
    digest_after: str
    mtime_ns: int
    undo: bytes


class Journal:
    """The journal of an open index."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def next_run(self) -> int:
        """A number for the entries of a command."""
        ((last,),) = self._index.rows("SELECT max(run) FROM journal")
        return 1 + (last or 0)

    def add(self, entry: JournalEntry) -> None:
        """Note what is about to be done; its number is given here."""
        texts = [
            json.dumps([as_utf8(genre) for genre in some]) for some in (entry.before, entry.after)
        ]
        digests = (entry.digest_before, entry.digest_after)
        values = (entry.run, entry.at, os.fsencode(entry.path), *texts, *digests)
        self._index.connection.execute(
            "INSERT INTO journal (run, at, path, genres_before, genres_after, digest_before, "
            "digest_after, mtime_ns, undo) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, entry.mtime_ns, entry.undo),
        )

    def entries(self) -> Iterator[JournalEntry]:
        """What was done and not undone, the newest first; one at a time, as they may be many."""
        for (number,) in self._index.rows("SELECT id FROM journal ORDER BY id DESC"):
            for i, run, at, path, before, after, *rest in self._index.rows(
                "SELECT * FROM journal WHERE id = ?", number
            ):
                genres = (tuple(json.loads(before)), tuple(json.loads(after)))
                yield JournalEntry(i, run, at, path_of(path), *genres, *rest)

    def forget(self, entry: JournalEntry) -> None:
        """Take an entry that was undone out of the journal."""
        self._index.connection.execute("DELETE FROM journal WHERE id = ?", (entry.id,))
