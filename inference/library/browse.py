"""A library page by page: songs searched by words, filtered, sorted, and what was said of them.

The full-text index and the orders below are made when a library is first browsed: half a second
for 50,000 songs. From then on triggers keep them, whoever changes the songs.
"""

import os
from dataclasses import dataclass, replace
from typing import Literal, get_args

from common.files import absolute
from common.recordings import SEPARATOR, labels_of
from data.corrections import beside, file_of, read_corrections
from inference.library.index import Index, IndexedModel, Song
from inference.library.schema import BROWSING
from inference.output import CERTAIN, LIKELY
from inference.prediction import Prediction

PAGE = 50  # songs
MAX_WORDS = 20  # of a search
Certainty = Literal["", "almost certainly", "probably", "perhaps", "unsure", "corrected"]
CERTAINTIES: tuple[Certainty, ...] = get_args(Certainty)
NOT_SAID = "answers.song NOT IN (SELECT song FROM temp.said)"
CONDITIONS: dict[Certainty, str] = {
    "almost certainly": f"unsure IS NULL AND probability >= {CERTAIN} AND {NOT_SAID}",
    "probably": (
        f"unsure IS NULL AND probability >= {LIKELY} AND probability < {CERTAIN} AND {NOT_SAID}"
    ),
    "perhaps": f"unsure IS NULL AND probability < {LIKELY} AND {NOT_SAID}",
    "unsure": f"unsure IS NOT NULL AND {NOT_SAID}",
    "corrected": "answers.song IN (SELECT song FROM temp.said)",
}
Order = Literal["file", "title", "artist", "most certain", "least certain"]
ORDERS: dict[Order, str] = {
    "file": "songs.path",
    "title": "songs.title COLLATE NOCASE, songs.path",
    "artist": "songs.artist COLLATE NOCASE, songs.title COLLATE NOCASE, songs.path",
    "most certain": "answers.probability DESC, answers.song DESC",
    "least certain": "answers.probability, answers.song",
}


@dataclass(frozen=True)
class Search:
    """Which songs are looked for, and in which order.

    words: beginnings of words of title, artist, album or path, all of which must be there; label:
    a class, or "" for all, as is said of the song or, where nobody did, as the model answered;
    certainty: of the model's answer where nobody said anything, as its sentence has it.
    """

    words: str = ""
    label: str = ""
    certainty: Certainty = ""
    order: Order = "file"


class Browser:
    """An open index as one model has answered for it, ready to be searched; for one thread."""

    def __init__(self, index: Index, model: IndexedModel) -> None:
        """Make what searches need where it is not there yet."""
        self.index, self.model = index, model
        self._table, self._read = beside(model.file), (0, 0, 0)
        self.said = dict[int, tuple[str, ...]]()
        if not index.rows("SELECT name FROM sqlite_master WHERE name = 'words'"):
            with index.transaction():
                if not index.rows("SELECT name FROM sqlite_master WHERE name = 'words'"):
                    for statement in BROWSING:
                        index.connection.execute(statement)
        index.connection.execute("CREATE TEMP TABLE said (song INTEGER PRIMARY KEY, label TEXT)")

    def count(self, search: Search) -> int:
        """How many songs there are."""
        tables, values = self._found(search)
        ((n,),) = self.index.rows(f"SELECT count(*) FROM {tables}", *values)
        return int(n)

    def page(self, search: Search, offset: int) -> list[Song]:
        """The PAGE songs from the offset on."""
        tables, values = self._found(search, with_songs=True)
        found = self.index.rows(
            f"SELECT answers.song FROM {tables} ORDER BY {ORDERS[search.order]} LIMIT ? OFFSET ?",
            *(*values, PAGE, offset),
        )
        return self.songs([song for (song,) in found])

    def songs(self, numbers: list[int]) -> list[Song]:
        """The songs of these numbers, in their order, those that are no longer there left out."""
        by_number = {song.id: song for song in self.index.songs(self.model, numbers)}
        return [by_number[number] for number in numbers if number in by_number]

    def _found(self, search: Search, *, with_songs: bool = False) -> tuple[str, list[object]]:
        """(tables and conditions, values) of the songs that are looked for."""
        self._read_corrections()
        conditions, values = ["answers.model = ?"], list[object]([self.model.id])
        if search.label:
            several = self.model.several
            is_it = "instr(';' || {0}.label || ';', ?)" if several else "{0}.label = ?"
            own = is_it.format("answers")
            if self.said:
                said = is_it.format("temp.said")
                own = f"({own} AND {NOT_SAID} OR answers.song IN "
                own += f"(SELECT song FROM temp.said WHERE {said}))"
            conditions.append(own)
            asked = f";{search.label};" if several else search.label
            values += [asked, asked] if self.said else [asked]
        if search.certainty:
            conditions.append(CONDITIONS[search.certainty])
        if phrases := phrases_of(search.words):
            conditions.append("answers.song IN (SELECT rowid FROM words WHERE words MATCH ?)")
            values.append(phrases)
        tables = "answers JOIN songs ON songs.id = answers.song" if with_songs else "answers"
        return f"{tables} WHERE {' AND '.join(conditions)}", values

    def _read_corrections(self) -> None:
        """Read what was said of songs anew when it, or the songs, changed since."""
        try:
            facts = self._table.stat()
        except OSError:  # nobody has said anything yet
            return
        ((changes,),) = self.index.rows("PRAGMA data_version")
        now = (facts.st_mtime_ns, facts.st_size, int(changes))
        if now != self._read:
            self.said, self._read = corrected(self.index, self.model), now
            db = self.index.connection
            db.execute("BEGIN")  # of the temporary table alone: nobody who writes is waited for
            db.execute("DELETE FROM temp.said")
            said = [(song, SEPARATOR.join(named)) for song, named in self.said.items()]
            db.executemany("INSERT INTO temp.said VALUES (?, ?)", said)
            db.execute("COMMIT")


def corrected(index: Index, model: IndexedModel) -> dict[int, tuple[str, ...]]:
    """The class that somebody said of songs, or all of several, by the songs' numbers.

    A song is known by its digest or else, as its tags may have changed since, by its path. What is
    no class of the model is left out.
    """
    table = beside(model.file)
    if not table.is_file():
        return {}
    by_path, by_digest = dict[int, tuple[str, ...]](), dict[int, tuple[str, ...]]()
    for one in read_corrections(table):
        if not (named := labels_of(one.label, model.classes, several=model.several)):
            continue
        path = os.fsencode(absolute(file_of(one, table)))
        for (song,) in index.rows("SELECT id FROM songs WHERE path = ?", path):
            by_path[song] = named
        for song in index.with_digest(one.digest):
            by_digest[song] = named
    return by_path | by_digest


def as_said(song: Song, said: tuple[str, ...], model: IndexedModel) -> Song:
    """The song, with the classes that somebody said of it as the answer, if there are some."""
    if not said:
        return song
    sure = {name: float(name in said) for name in model.classes}
    label = SEPARATOR.join(said)
    answer = Prediction(song.prediction.path, label, 1.0, sure, several=model.several)
    return replace(song, prediction=answer, corrected=True)


def phrases_of(words: str) -> str:
    """The full-text query for beginnings of words, "" if there is nothing to look for."""
    some = [word for word in words.replace("\0", " ").split() if any(map(str.isalnum, word))]
    return " ".join(f'"{word.replace(chr(34), chr(34) * 2)}"*' for word in some[:MAX_WORDS])


def certainty_of(song: Song, said: tuple[str, ...]) -> Certainty:
    """Under which certainty a search finds the song; said: what somebody said that it is."""
    p = song.prediction
    if said:
        return "corrected"
    if p.unsure:
        return "unsure"
    likely: Certainty = "probably" if p.probability >= LIKELY else "perhaps"
    return "almost certainly" if p.probability >= CERTAIN else likely
