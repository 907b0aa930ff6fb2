"""The index of a library: one SQLite file of its songs and of what models say of them.

Every change is one transaction, and readers do not wait for writers (write-ahead logging), so a
kill at any moment leaves an index that is whole, and several commands may use it at once. Those
that change it take turns (`common.files.changing`). Paths are bytes: a name need not be UTF-8.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.text import as_utf8
from inference.library.schema import DIFFERENCES, ROOTS, SCHEMA, VERSION, check
from inference.prediction import Prediction
from render.audio.tags import SongTags

if TYPE_CHECKING:
    from inference.library.analysis import Analysis

TAG_COLUMNS = ("title", "artist", "albumartist", "album", "date")
ONE_OF = "IN (SELECT value FROM json_each(?))"
ANSWER_COLUMNS = "label, probability, agreement, unsure, seconds, distance, probabilities"


@dataclass(frozen=True)
class File:
    """A file as it was when it was read. digest: SHA-256, "" if not known."""

    path: Path
    size: int
    mtime_ns: int
    digest: str = ""


@dataclass(frozen=True)
class IndexedModel:
    """A model that answered for songs. clips: of each, 0 for all; several: labels of a song."""

    id: int
    digest: str
    clips: int
    file: Path
    classes: tuple[str, ...]
    several: bool = False


@dataclass(frozen=True)
class Song:
    """A song of the index with a model's answer.

    distance: from the middle of the training pictures, 1 for what 95 % of those are within; None
    where the model file does not tell. corrected: whether the answer is what somebody said.
    """

    id: int
    file: File
    tags: SongTags
    seconds: float
    distance: float | None
    prediction: Prediction
    corrected: bool = False


class Index:
    """An open index."""

    def __init__(self, file: Path, *, create: bool = False) -> None:
        """Open the index; ValueError when there is none and it is not to be made, or it is none."""
        if not create and not file.is_file():
            raise ValueError(
                f"no index at {file}; python -m inference.library scan MUSIC makes it, or give "
                "--index FILE"
            )
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(  # threads may share it that take turns
            file, timeout=60, isolation_level=None, check_same_thread=False
        )
        try:
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = NORMAL")
            self.connection.execute("PRAGMA foreign_keys = ON")
            version = self._version()
        except sqlite3.OperationalError as error:  # not to be written, or locked for a minute
            self.connection.close()
            raise OSError(f"{file} cannot be used: {error}") from None
        except sqlite3.DatabaseError as error:
            self.connection.close()
            raise ValueError(f"{file} is no index of a library ({error})") from None
        if version != VERSION:
            self.connection.close()
            raise ValueError(
                f"{file} has version {version}, this program reads {VERSION}: give --index FILE "
                "for another index"
            )
        try:
            check(self.connection)
        except (ValueError, sqlite3.DatabaseError) as error:
            self.connection.close()
            raise ValueError(
                f"{file} is no index of a library, or damaged ({error}); give --index FILE for "
                "another one, which scan makes"
            ) from None

    def __enter__(self) -> "Index":
        """The index itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.connection.close()

    def _version(self) -> int:
        """The version of the schema, which a new file is given here."""
        ((version,),) = self.rows("PRAGMA user_version")
        if version or self.rows("SELECT name FROM sqlite_master"):
            return int(version)
        with self.transaction():
            if not self.rows("SELECT name FROM sqlite_master"):  # nobody was faster
                for statement in SCHEMA.split(";")[:-1]:
                    self.connection.execute(statement)
                self.connection.execute(f"PRAGMA user_version = {VERSION}")
        return VERSION

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Changes that are all made or none."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds."""
        return self.connection.execute(query, values).fetchall()

    # -- models

    def models(self) -> list[IndexedModel]:
        """The models that were scanned with, the last one first."""
        rows = self.rows("SELECT id, digest, clips, path, classes FROM models ORDER BY scan DESC")
        models = []
        for i, digest, clips, path, classes in rows:
            several = isinstance(named := json.loads(classes), dict)
            names = named.get("several") if several else named
            is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
            if not (is_list and len(names) == len(set(names)) > 0):
                raise ValueError(f"{self.file}: a model's classes are no list of names")
            models.append(IndexedModel(i, digest, clips, path_of(path), tuple(names), several))
        return models

    def add_model(
        self, digest: str, clips: int, file: Path, classes: Sequence[str], several: bool = False
    ) -> IndexedModel:
        """The model's entry, made or with its file's new place; older indexes get their tables."""
        named = {"several": list(classes)} if several else list(classes)
        values = (digest, clips, os.fsencode(file.resolve()), json.dumps(named))
        with self.transaction():
            self.connection.execute(DIFFERENCES)
            self.connection.execute(
                "INSERT INTO models (digest, clips, path, classes, scan) VALUES (?, ?, ?, ?, "
                "(SELECT 1 + coalesce(max(scan), 0) FROM models)) ON CONFLICT (digest, clips) "
                "DO UPDATE SET path = excluded.path, scan = excluded.scan",
                values,
            )
        return next(m for m in self.models() if (m.digest, m.clips) == (digest, clips))

    # -- songs

    def add_root(self, root: Path) -> None:
        """Note a folder that was scanned; in indexes of before, the table is made here."""
        with self.transaction():
            self.connection.execute(ROOTS)
            self.connection.execute("INSERT OR IGNORE INTO roots VALUES (?)", (os.fsencode(root),))

    def roots(self) -> list[Path]:
        """The folders that were scanned."""
        if not self.rows("SELECT name FROM sqlite_master WHERE name = 'roots'"):
            return []
        return [path_of(raw) for (raw,) in self.rows("SELECT path FROM roots")]

    def files(self, root: Path | None = None) -> dict[Path, tuple[int, File]]:
        """(number, file) of the songs, all or those below a folder, by their paths."""
        rows = self.rows("SELECT id, path, size, mtime_ns, digest FROM songs")
        found = {
            (path := path_of(raw)): (i, File(path, size, mtime_ns, digest))
            for i, raw, size, mtime_ns, digest in rows
        }
        return {path: one for path, one in found.items() if not root or root in path.parents}

    def done(self, model: IndexedModel) -> set[int]:
        """The numbers of the songs that the model has answered for, or failed on."""
        query = (
            "SELECT song FROM answers WHERE model = ? UNION "
            "SELECT song FROM failures WHERE model = ?"
        )
        return {song for (song,) in self.rows(query, model.id, model.id)}

    def move(self, song: int, file: File) -> None:
        """Give a song a new place or time; its answers stay."""
        self.connection.execute(
            "UPDATE songs SET path = ?, size = ?, mtime_ns = ?, digest = ? WHERE id = ?",
            (os.fsencode(file.path), file.size, file.mtime_ns, file.digest, song),
        )

    def remove(self, songs: Sequence[int]) -> None:
        """Forget songs and their answers."""
        with self.transaction():
            self.connection.executemany(
                "DELETE FROM songs WHERE id = ?", [(song,) for song in songs]
            )

    def set_genres(self, path: Path, genres: Sequence[str]) -> None:
        """Note the genres that now stand in a file's tags."""
        self.connection.execute(
            "UPDATE songs SET genres = ? WHERE path = ?", (json.dumps(genres), os.fsencode(path))
        )

    def add(self, file: File, tags: SongTags, model: IndexedModel, found: "Analysis | str") -> None:
        """Note a song and what the model says of it, or why it says nothing, in one step.

        What other models said of an earlier content of the file is forgotten.
        """
        texts = [as_utf8(getattr(tags, name)) for name in TAG_COLUMNS]
        genres = json.dumps([as_utf8(genre) for genre in tags.genres])
        path = os.fsencode(file.path)
        with self.transaction():
            self.connection.execute(
                "DELETE FROM songs WHERE path = ? AND digest != ?", (path, file.digest)
            )
            self.connection.execute(
                "INSERT INTO songs (path, digest, size, mtime_ns, title, artist, albumartist, "
                "album, date, genres) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO "
                "UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns",
                (path, file.digest, file.size, file.mtime_ns, *texts, genres),
            )
            ((song,),) = self.rows("SELECT id FROM songs WHERE path = ?", path)
            if isinstance(found, str):
                self.connection.execute(
                    "INSERT OR REPLACE INTO failures VALUES (?, ?, ?)",
                    (model.id, song, as_utf8(found)),
                )
            else:
                self._add_answer(model.id, song, found)

    def _add_answer(self, model: int, song: int, found: "Analysis") -> None:
        p = found.prediction
        self.connection.execute(
            f"INSERT OR REPLACE INTO answers (model, song, {ANSWER_COLUMNS}, fingerprint) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                model,
                song,
                p.label,
                p.probability,
                p.agreement,
                p.unsure,
                p.timeline[-1].end_s,
                found.distance,
                np.array(list(p.probabilities.values()), np.float32).tobytes(),
                found.fingerprint.tobytes(),
            ),
        )
        self.connection.execute(
            "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)",
            (model, song, found.embedding.astype(np.float16).tobytes()),
        )
        if found.difference is not None:
            self.connection.execute(
                "INSERT OR REPLACE INTO differences VALUES (?, ?, ?)",
                (song, model, found.difference.astype(np.float16).tobytes()),
            )

    def with_digest(self, digest: str) -> dict[int, Path]:
        """The songs whose files have a digest: paths by number."""
        rows = self.rows("SELECT id, path FROM songs WHERE digest = ?", digest)
        return {song: path_of(path) for song, path in rows}

    # -- answers

    def songs(self, model: IndexedModel, only: Sequence[int] | None = None) -> Iterator[Song]:
        """The songs that the model has answered for, by path, all or those with some numbers."""
        columns = ", ".join(TAG_COLUMNS)
        query = (
            f"SELECT id, path, size, mtime_ns, digest, {columns}, genres, {ANSWER_COLUMNS} "
            "FROM songs JOIN answers ON answers.song = songs.id WHERE answers.model = ?"
        )
        values: list[object] = [model.id]
        if only is not None:
            query += f" AND songs.id {ONE_OF}"
            values.append(_numbers(only))
        for row in self.connection.execute(query + " ORDER BY path", values):
            yield _song(row, model)

    def numbers(self, model: IndexedModel) -> list[int]:
        """The numbers of the songs that the model has answered for."""
        return [song for (song,) in self.rows("SELECT song FROM answers WHERE model = ?", model.id)]

    def song_at(self, path: Path, model: IndexedModel) -> Song | None:
        """The song of a path, if the model has answered for it."""
        for (song,) in self.rows("SELECT id FROM songs WHERE path = ?", os.fsencode(path)):
            return next(self.songs(model, [song]), None)
        return None

    def failures(self, model: IndexedModel) -> list[tuple[Path, str]]:
        """The files that the model could not answer for, and why."""
        query = (
            "SELECT path, reason FROM failures JOIN songs ON failures.song = songs.id "
            "WHERE failures.model = ? ORDER BY path"
        )
        return [(path_of(path), reason) for path, reason in self.rows(query, model.id)]

    def embeddings(self, model: IndexedModel) -> tuple[np.ndarray, np.ndarray]:
        """(numbers of the songs int64 (n,), their embeddings float16 (n, F))."""
        query = "SELECT song, embedding FROM embeddings WHERE model = ?"
        return _vectors(self.rows(query, model.id))

    def differences(self, model: IndexedModel, songs: Sequence[int]) -> np.ndarray:
        """float16 (n, F): how the halves of some songs differ, of those where it is known."""
        if not self.rows("SELECT name FROM sqlite_master WHERE name = 'differences'"):
            return np.zeros((0, 0), np.float16)
        query = f"SELECT song, difference FROM differences WHERE model = ? AND song {ONE_OF}"
        return _vectors(self.rows(query, model.id, _numbers(songs)))[1]

    def embedding(self, model: IndexedModel, song: int) -> np.ndarray:
        """The embedding float16 (F,) of one song that the model has answered for."""
        query = "SELECT embedding FROM embeddings WHERE model = ? AND song = ?"
        ((blob,),) = self.rows(query, model.id, song)
        return np.frombuffer(blob, np.float16)

    def fingerprints(self, model: IndexedModel, songs: Sequence[int]) -> dict[int, np.ndarray]:
        """The fingerprints uint8 (n,) of some songs, by their numbers."""
        query = f"SELECT song, fingerprint FROM answers WHERE model = ? AND song {ONE_OF}"
        rows = self.rows(query, model.id, _numbers(songs))
        return {song: np.frombuffer(blob, np.uint8) for song, blob in rows}


def _numbers(songs: Sequence[int]) -> str:
    return json.dumps([int(song) for song in songs])


def _vectors(rows: Sequence[tuple[int, bytes]]) -> tuple[np.ndarray, np.ndarray]:
    songs = np.array([song for song, _ in rows], np.int64)
    joined = np.frombuffer(b"".join([blob for _, blob in rows]), np.float16)
    return songs, joined.reshape(len(rows), -1 if len(rows) else 0)


def _song(row: Sequence[Any], model: IndexedModel) -> Song:
    song, path, size, mtime_ns, digest, *rest = row
    texts, rest = rest[: len(TAG_COLUMNS)], rest[len(TAG_COLUMNS) :]
    genres, label, probability, agreement, unsure, seconds, distance, blob = rest
    file = File(path_of(path), size, mtime_ns, digest)
    tags = SongTags(**dict(zip(TAG_COLUMNS, texts, strict=True)), genres=tuple(json.loads(genres)))
    values = np.frombuffer(blob[: len(blob) // 4 * 4], np.float32).tolist()
    named = dict(zip(model.classes, values, strict=False))
    answer = Prediction(
        str(file.path), label, probability, named, unsure, agreement, several=model.several
    )
    could_be = len(values) == len(model.classes) and all(0 <= p <= 1.001 for p in values)
    if not could_be or not named.keys() >= {*answer.labels}:
        raise ValueError(f"the index is damaged: its answer for {file.path} is none of the model's")
    return Song(song, file, tags, seconds, distance, answer)


def path_of(raw: bytes) -> Path:
    """The path that the index holds as bytes."""
    return Path(os.fsdecode(raw))
