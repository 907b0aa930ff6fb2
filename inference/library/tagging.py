"""Genres into the tags of a library where they are right often enough; and out of them again."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from common.files import whole_path
from inference.library.index import File, Index, Song
from inference.library.journal import Journal, JournalEntry, delta, restored
from inference.library.precision import Threshold
from inference.prediction import LeftOut, Prediction
from render.audio.tags import read_tags, retagged, spelling


@dataclass(frozen=True)
class Change:
    """The genres of a song, as they are and as they are to be."""

    song: Song
    before: tuple[str, ...]
    after: tuple[str, ...]


def covered(song: Song, limits: Mapping[str, Threshold]) -> tuple[str, ...]:
    """The classes of a song that the promise holds for, the likeliest first; () for none.

    What somebody said of it needs no promise. Of several labels all may be promised whose own
    threshold is reached, of one only that of the answer.
    """
    p = song.prediction
    if song.corrected:
        return p.labels
    asked = [name for name, _ in p.top(len(p.probabilities))] if p.several else [p.label]
    return tuple(name for name in asked if _is_promised(name, p, limits[name].probability))


def _is_promised(name: str, p: Prediction, limit: float | None) -> bool:
    return limit is not None and not p.unsure and p.probabilities[name] >= limit


def changes(
    songs: Iterable[Song], limits: Mapping[str, Threshold], *, add: bool
) -> Iterator[Change]:
    """What is to be changed; add: the classes come behind the genres that are there."""
    for song in songs:
        after = genres_with(song.tags.genres, covered(song, limits), add=add)
        if after != song.tags.genres:
            yield Change(song, song.tags.genres, after)


def genres_with(genres: Sequence[str], labels: Sequence[str], *, add: bool) -> tuple[str, ...]:
    """The genres with classes; as they are where all are among them in whatever spelling.

    Else the classes stand in their place, or with `add` behind them, a genre that is one of them
    as it is spelled.
    """
    whole = {spelling(genre): genre for genre in genres}
    known = {spelling(part) for genre in genres for part in re.split("[;/]", genre)} | whole.keys()
    missing = [label for label in labels if spelling(label) not in known]
    if not missing:
        return tuple(genres)
    return (*genres, *missing) if add else tuple(whole.get(spelling(x), x) for x in labels)


def write(index: Index, planned: Iterable[Change]) -> Iterator[Change | LeftOut]:
    """Write the genres file by file, each after the journal knows how to undo it."""
    run, at = Journal(index).next_run(), datetime.now(timezone.utc).isoformat(timespec="seconds")
    for change in planned:
        try:
            _write(index, change, run, at)
        except (ValueError, OSError) as error:
            yield LeftOut(str(change.song.file.path), str(error))
        else:
            yield change


def _write(index: Index, change: Change, run: int, at: str) -> None:
    file = change.song.file
    path = file.path.resolve()  # of a link, the file
    old = path.read_bytes()
    if _digest(old) != file.digest:
        raise ValueError(f"{file.path}: changed since it was scanned; scan again")
    with retagged(path, change.after) as copy:
        new = copy.read_bytes()
        undo = delta(old, new)
        if restored(new, undo) != old:
            raise ValueError(f"{file.path}: its tags could not be undone; left as it is")
        entry = JournalEntry(
            0, run, at, file.path, change.before, change.after, file.digest, _digest(new),
            path.stat().st_mtime_ns, undo,
        )  # fmt: skip
        Journal(index).add(entry)
        copy.replace(path)
    note(index, change.song.id, file.path, entry.digest_after, change.after)


def note(index: Index, song: int, path: Path, digest: str, genres: Sequence[str]) -> None:
    """Note in the index what was done to a file: its sound is as it was."""
    facts = path.stat()
    with index.transaction():
        index.move(song, File(path, facts.st_size, facts.st_mtime_ns, digest))
        index.set_genres(path, genres)


def undo(index: Index, entries: Iterable[JournalEntry]) -> Iterator[JournalEntry | LeftOut]:
    """Give files the bytes and the times that they had; entries: the newest first."""
    for entry in entries:
        try:
            _undo(index, entry)
        except (ValueError, OSError) as error:
            yield LeftOut(str(entry.path), str(error))
        else:
            yield entry


def _undo(index: Index, entry: JournalEntry) -> None:
    known = index.with_digest(entry.digest_after)
    found = next((path for path in [entry.path, *known.values()] if path.is_file()), None)
    if found is None:
        raise ValueError(f"{entry.path}: no such file any more")
    path, new = found.resolve(), found.read_bytes()
    digest = _digest(new)
    if digest not in (entry.digest_after, entry.digest_before):
        raise ValueError(f"{found}: changed since it was tagged; left as it is")
    if digest == entry.digest_after:
        old = restored(new, entry.undo)
        if _digest(old) != entry.digest_before:
            raise ValueError(f"{found}: what was kept for undo is of another file")
        with whole_path(path) as copy:
            copy.write_bytes(old)
            shutil.copymode(path, copy)
            os.utime(copy, ns=(entry.mtime_ns, entry.mtime_ns))
    for song, place in known.items():
        if place == found:
            note(index, song, found, entry.digest_before, read_tags(found).genres)
    Journal(index).forget(entry)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
