"""The journal of an index: what was done to tags, and what it takes to undo it.

A tagged file is the old one with a few bytes changed, and perhaps all others moved. Of the old
file's blocks, those that stand in the new one at the same distance from its start or its end are
named, and the bytes of the others are kept.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from common.text import as_utf8
from inference.library.index import Index, path_of

BLOCK = 256  # bytes
HEAD = struct.Struct("<QQI")  # bytes of the old file and of the new one, number of steps
STEP = struct.Struct("<BQQ")  # kind; place in the new file, bytes; or 0, bytes that are kept
COPY, KEPT = 0, 1


@dataclass(frozen=True)
class JournalEntry:
    """What was done to a file's tags. run: of the command; mtime_ns: the file's before.

    undo: what `restored` needs to make the old file of the new one.
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


def delta(old: bytes, new: bytes) -> bytes:
    """What `restored` needs beside `new` to make `old` again."""
    before, after = np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)
    n = min(len(old), len(new))
    same_start = np.zeros(len(old), bool)
    same_start[:n] = before[:n] == after[:n]
    same_end = np.zeros(len(old), bool)
    if n:
        same_end[-n:] = before[-n:] == after[-n:]
    starts = np.arange(0, len(old), BLOCK)
    from_start = np.logical_and.reduceat(same_start, starts) if len(old) else starts
    from_end = np.logical_and.reduceat(same_end, starts) if len(old) else starts
    kinds = np.where(from_start, 0, np.where(from_end, 1, 2))  # of each block
    edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]
    steps, kept = [], []
    for first, last in pairwise(edges):
        if first == last:
            continue
        place, end = first * BLOCK, min(last * BLOCK, len(old))
        if kinds[first] == 2:
            steps.append(STEP.pack(KEPT, 0, end - place))
            kept.append(old[place:end])
        else:
            shift = 0 if kinds[first] == 0 else len(new) - len(old)
            steps.append(STEP.pack(COPY, place + shift, end - place))
    head = HEAD.pack(len(old), len(new), len(steps))
    return zlib.compress(b"".join([head, *steps, *kept]))


def restored(new: bytes, change: bytes) -> bytes:
    """The old file. Raises ValueError when the change is damaged or of another file."""
    try:
        plain = zlib.decompress(change)
        n_old, n_new, n_steps = HEAD.unpack_from(plain)
        place = HEAD.size + n_steps * STEP.size
        parts = []
        for i in range(n_steps):
            kind, start, count = STEP.unpack_from(plain, HEAD.size + i * STEP.size)
            if kind == COPY:
                parts.append(new[start : start + count])
            else:
                parts.append(plain[place : place + count])
                place += count
    except (zlib.error, struct.error) as error:
        raise ValueError(f"what was kept for undo is damaged ({error})") from None
    old = b"".join(parts)
    if len(old) != n_old or len(new) != n_new:
        raise ValueError("what was kept for undo is of another file")
    return old
