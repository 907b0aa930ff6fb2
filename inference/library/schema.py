"""The tables of an index, and whether a file has these, and nothing else, with values that can be.

An index may come from anybody, and SQLite runs what views and triggers say and keeps any value in
any column.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

VERSION = 1
SCHEMA = """
CREATE TABLE models (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL, clips INTEGER NOT NULL, path BLOB NOT NULL,
    classes TEXT NOT NULL, scan INTEGER NOT NULL, UNIQUE (digest, clips));
CREATE TABLE songs (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, digest TEXT NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, title TEXT NOT NULL, artist TEXT NOT NULL, albumartist TEXT NOT NULL,
    album TEXT NOT NULL, date TEXT NOT NULL, genres TEXT NOT NULL);
CREATE TABLE answers (
    model INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    song INTEGER NOT NULL REFERENCES songs ON DELETE CASCADE,
    label TEXT NOT NULL, probability REAL NOT NULL, agreement REAL NOT NULL, unsure TEXT,
    seconds REAL NOT NULL, distance REAL, probabilities BLOB NOT NULL, fingerprint BLOB NOT NULL,
    PRIMARY KEY (model, song));
CREATE TABLE embeddings (
    model INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    song INTEGER NOT NULL REFERENCES songs ON DELETE CASCADE,
    embedding BLOB NOT NULL, PRIMARY KEY (model, song)) WITHOUT ROWID;
CREATE TABLE failures (
    model INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    song INTEGER NOT NULL REFERENCES songs ON DELETE CASCADE,
    reason TEXT NOT NULL, PRIMARY KEY (model, song)) WITHOUT ROWID;
CREATE TABLE journal (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, at TEXT NOT NULL, path BLOB NOT NULL,
    genres_before TEXT NOT NULL, genres_after TEXT NOT NULL, digest_before TEXT NOT NULL,
    digest_after TEXT NOT NULL, mtime_ns INTEGER NOT NULL, undo BLOB NOT NULL);
CREATE INDEX songs_of_digest ON songs (digest);
CREATE INDEX answers_of_song ON answers (song);
CREATE INDEX embeddings_of_song ON embeddings (song);
CREATE INDEX failures_of_song ON failures (song);
"""
TABLES = tuple(part.split()[0] for part in SCHEMA.split("CREATE TABLE ")[1:])
# Tables that are made when they are first needed.
ROOTS = "CREATE TABLE IF NOT EXISTS roots (path BLOB PRIMARY KEY)"
DIFFERENCES = """
CREATE TABLE IF NOT EXISTS differences (
    song INTEGER NOT NULL REFERENCES songs ON DELETE CASCADE,
    model INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    difference BLOB NOT NULL, PRIMARY KEY (song, model)) WITHOUT ROWID
"""
# The full-text index and the orders, made when a library is first browsed. The path is text here,
# whatever its bytes: what is no UTF-8 is not found, and harms nothing.
TEXTS = "{0}.id, {0}.title, {0}.artist, {0}.album, CAST({0}.path AS TEXT)"
FORGET = f"INSERT INTO words (words, rowid, title, artist, album, path) VALUES ('delete', {TEXTS})"
ADD = f"INSERT INTO words (rowid, title, artist, album, path) VALUES ({TEXTS})"
BROWSING = (
    "CREATE VIRTUAL TABLE words USING fts5 (title, artist, album, path, content = '', "
    "tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3')",
    "INSERT INTO words (rowid, title, artist, album, path) "
    f"SELECT {TEXTS.format('songs')} FROM songs",
    f"CREATE TRIGGER words_added AFTER INSERT ON songs BEGIN {ADD.format('new')}; END",
    f"CREATE TRIGGER words_removed AFTER DELETE ON songs BEGIN {FORGET.format('old')}; END",
    "CREATE TRIGGER words_changed AFTER UPDATE OF path, title, artist, album ON songs BEGIN "
    f"{FORGET.format('old')}; {ADD.format('new')}; END",
    "CREATE INDEX songs_by_title ON songs (title COLLATE NOCASE, path)",
    "CREATE INDEX songs_by_artist ON songs (artist COLLATE NOCASE, title COLLATE NOCASE, path)",
    "CREATE INDEX answers_by_probability ON answers (model, probability, song, label, unsure)",
    "CREATE INDEX answers_by_label ON answers (model, label, probability, song, unsure)",
)
KEPT_BY_FTS5 = "words_"  # and what its own tables are called, which other versions make otherwise
KINDS = {"INTEGER": "integer", "REAL": "real", "TEXT": "text", "BLOB": "blob"}
# What of a table is wrong, apart from types: each is asked where those before it are false.
MOST_TEXT, MOST_FEATURES = 1_000_000, 16_384  # characters of genres or classes; of an embedding
WRONG = {
    "models": (f"length(classes) > {MOST_TEXT}", "NOT json_valid(classes)"),
    "songs": (
        f"length(genres) > {MOST_TEXT}",
        "NOT json_valid(genres)",
        "json_type(genres) != 'array'",
        "EXISTS (SELECT 1 FROM json_each(genres) WHERE type != 'text')",
    ),
    "answers": (
        "NOT probability BETWEEN 0 AND 1.001",
        "NOT agreement BETWEEN 0 AND 1.001",
        "NOT seconds BETWEEN 0 AND 1e7",
        "NOT coalesce(distance, 0) BETWEEN 0 AND 1e300",
        f"length(fingerprint) != {16 * 64}",
    ),
    "embeddings": (
        f"NOT length(embedding) BETWEEN 2 AND {2 * MOST_FEATURES}",
        "length(embedding) % 2",
    ),
}


def check(connection: sqlite3.Connection) -> None:
    """Raise ValueError, which says what is wrong, unless all in the file is ours.

    Numbers of a blob are looked at when they are read.
    """
    found = _parts(connection)
    _check_parts(found)
    for table in (*TABLES, *({"roots", "differences"} & found.keys())):
        _check_values(connection, table)
    for one, other in (("answers", "embeddings"), ("embeddings", "answers")):
        missing = f"SELECT 1 FROM {one} LEFT JOIN {other} AS other USING (model, song)"
        if connection.execute(f"{missing} WHERE other.song IS NULL LIMIT 1").fetchone():
            raise ValueError(f"a song of {one} is missing in {other}")
    lengths = "min(length(embedding)) != max(length(embedding))"
    if connection.execute(f"SELECT 1 FROM embeddings GROUP BY model HAVING {lengths}").fetchone():
        raise ValueError("its embeddings are of several lengths")
    unlike = "length(difference) != length(embedding)"
    both = "SELECT 1 FROM differences JOIN embeddings USING (model, song)"
    if "differences" in found and connection.execute(f"{both} WHERE {unlike} LIMIT 1").fetchone():
        raise ValueError("a difference is of another length than the embeddings")
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        raise ValueError("it has answers for songs or of models that it does not have")


def _check_parts(found: dict[str, tuple[str, str]]) -> None:
    """Raise ValueError if a table, view, trigger or index is none of ours, or one lacks."""
    with closing(sqlite3.connect(":memory:")) as with_all:
        for statement in (*SCHEMA.split(";")[:-1], ROOTS, DIFFERENCES, *BROWSING):
            with_all.execute(statement)
        expected = _parts(with_all)
    for name, (kind, sql) in found.items():
        own = name.startswith(KEPT_BY_FTS5) and kind == "table" and "VIRTUAL" not in sql
        if not own and not name.startswith("sqlite_") and expected.get(name) != (kind, sql):
            raise ValueError(f"its {kind} {name!r:.60} is none of this program's")
    for table in TABLES:
        if table not in found:
            raise ValueError(f"it has no table {table}")


def _parts(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """(kind, SQL) of all that a database has, by name."""
    rows = connection.execute("SELECT name, type, sql FROM sqlite_master").fetchall()
    return {str(name): (str(kind), " ".join(str(sql).split())) for name, kind, sql in rows}


def _check_values(connection: sqlite3.Connection, table: str) -> None:
    """Raise ValueError if a value of a table cannot be."""
    columns = list(_columns(connection, table))
    types = [f"typeof({name}) NOT IN ({kinds})" for name, kinds in columns]
    wrong = [*types, *WRONG.get(table, ())]
    names = [*(name for name, _ in columns), *wrong[len(columns) :]]
    cases = " ".join(f"WHEN {condition} THEN {i}" for i, condition in enumerate(wrong))
    row = connection.execute(
        f"SELECT CASE {cases} END AS wrong FROM {table} WHERE wrong IS NOT NULL LIMIT 1"
    ).fetchone()
    if row:
        raise ValueError(f"a value in {table} cannot be: {names[row[0]]}")


def _columns(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, str]]:
    """(name, what SQLite may call its values) of each column."""
    for _, name, kind, required, _, key in connection.execute(f"PRAGMA table_info({table})"):
        yield name, f"'{KINDS[kind]}'" if required or key else f"'{KINDS[kind]}', 'null'"
