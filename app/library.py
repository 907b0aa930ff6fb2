"""The library on the page: searched, heard, compared and corrected, by those who gave the password.

The one way to a file of the owner's is its number in the index, and only if it lies below a folder
that was scanned, has the suffix of a recording, and is the file that was scanned.
"""

import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from app.corrections import Corrections
from common.plots import class_colours
from common.recordings import SOUNDS
from common.text import printable
from inference.library.browse import (
    CERTAINTIES,
    ORDERS,
    PAGE,
    Browser,
    Search,
    certainty_of,
)
from inference.library.command import chosen_model
from inference.library.index import Index, Song
from inference.library.similar import Embeddings, nearest, query_of_song
from inference.prediction import NONE

N_SIMILAR = 20
RELOAD_SECONDS = 30.0  # for which embeddings are used while a scan adds others
LONGEST = 200  # characters of a search
# What browsers go by; other recordings are played where the browser knows them by their content.
MEDIA_TYPES = {
    ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".oga": "audio/ogg",
    ".opus": "audio/ogg", ".m4a": "audio/mp4", ".aac": "audio/aac", ".wav": "audio/wav",
}  # fmt: skip
PRIVATE = {"cache-control": "private, no-store"}


class NotThere(Exception):
    """A song that the library does not have, or whose file may not be read; says why."""


class Library:
    """The index of a library as the page's model has answered for it; safe to use from threads.

    Its methods raise NotThere or ValueError, whose message may be shown.
    """

    def __init__(self, index: Path, model: Path, corrections: Corrections | None) -> None:
        """Open it; ValueError when it is no index, or the model has answered for none of it."""
        opened = Index(index)
        self._browser = Browser(opened, chosen_model(opened, str(model)))
        self._index, self._model = opened, self._browser.model
        self._corrections = corrections
        self._turn = threading.Lock()
        self._embeddings: Embeddings | None = None
        self._read: tuple[int, float] = (0, 0.0)  # version of the index, and when

    def close(self) -> None:
        """Close the index."""
        self._index.connection.close()

    def facts(self) -> dict[str, Any]:
        """What the page's script has to know before it asks."""
        classes = self._model.classes
        return {
            "classes": classes,
            "colours": dict(zip(classes, class_colours(len(classes)), strict=True)),
            "certainties": [name for name in CERTAINTIES if name],
            "orders": list(ORDERS),
            "page": PAGE,
            "corrects": self._corrections is not None,
            "several": self._model.several,
        }

    def search(self, search: Search, offset: int) -> dict[str, Any]:
        """How many songs there are, and a page of them."""
        with self._turn:
            n = self._browser.count(search)
            songs = self._browser.page(search, offset)
            return {"n": n, "songs": self._plain(songs)}

    def similar(self, number: int) -> dict[str, Any]:
        """The songs nearest to one: copies and other encodings of the recording first."""
        with self._turn:
            (song,) = self._songs(number)
            query = query_of_song(self._index, self._model, song)
            near = nearest(self._index, self._model, self._latest(), query, N_SIMILAR)
            songs = self._plain(self._browser.songs([one.song for one in near]))
            kinds = {one.song: one for one in near}
            for plain in songs:
                one = kinds[plain["id"]]
                plain["likeness"] = f"{one.kind}, {one.cosine:.2f}"
            return {"n": len(songs), "songs": songs}

    def file(self, number: int) -> Path:
        """The file of a song; NotThere when it is not the one that was scanned."""
        with self._turn:
            (song,) = self._songs(number)
            roots = self._index.roots()
        return scanned_file(song, roots)

    def correct(self, number: int, labels: Sequence[str], by: str) -> dict[str, Any]:
        """Note which class or classes a song has; the song as it is listed from now on."""
        if self._corrections is None:
            raise NotThere("only visitors with a password can correct: start with --auth-file")
        self._corrections.note(self.file(number), labels, by)
        with self._turn:
            self._browser.count(Search())  # reads what was said
            return {"songs": self._plain(self._songs(number))}

    def _songs(self, number: int) -> list[Song]:
        """The song of a number, alone."""
        if songs := self._browser.songs([number]):
            return songs
        raise NotThere("the library has no such song")

    def _latest(self) -> Embeddings:
        """The embeddings of all songs, or those of some seconds ago while a scan adds to them."""
        ((version,),) = self._index.rows("PRAGMA data_version")
        known, at = self._read
        if self._embeddings is None or (
            known != version and time.monotonic() - at > RELOAD_SECONDS
        ):
            self._embeddings = Embeddings(self._index, self._model)
            self._read = version, time.monotonic()
        return self._embeddings

    def _plain(self, songs: list[Song]) -> list[dict[str, Any]]:
        roots = self._index.roots()
        said = self._browser.said
        return [_plain(song, roots, said.get(song.id, ())) for song in songs]


def _plain(song: Song, roots: list[Path], said: tuple[str, ...]) -> dict[str, Any]:
    """A song as the page's script shows it; its file without the owner's folders."""
    path, p = song.file.path, song.prediction
    root = next((root for root in roots if root in path.parents), path.parent)
    return {
        "id": song.id,
        "title": printable(song.tags.title or path.stem),
        "artist": printable(song.tags.artist),
        "file": printable(str(path.relative_to(root))),
        "seconds": song.seconds,
        "classes": p.labels or (NONE,),
        "probability": p.probability,
        "certainty": certainty_of(song, said),
        "said": said,
    }


def scanned_file(song: Song, roots: list[Path]) -> Path:
    """The song's file without links, if it may be read; else NotThere, which says why."""
    path = song.file.path
    try:
        real = path.resolve(strict=True)
        facts = real.lstat()
        folders = [root.resolve() for root in roots if root in path.parents]
    except (OSError, RuntimeError):  # it is gone, its disk is, or links lead in a circle
        raise NotThere(f"{printable(path.name)} is no longer there: scan anew") from None
    if not folders:
        raise NotThere("no folder is known to have been scanned: scan anew")
    if not any(folder in real.parents for folder in folders):
        raise NotThere(f"{printable(path.name)} is a link that leads out of the scanned folder")
    if real.suffix.lower() not in SOUNDS or not stat.S_ISREG(facts.st_mode):
        raise NotThere(f"{printable(path.name)} is no recording")
    if (facts.st_size, facts.st_mtime_ns) != (song.file.size, song.file.mtime_ns):
        raise NotThere(f"{printable(path.name)} has changed since it was scanned: scan anew")
    return real


def routes(library: Library) -> list[Route]:
    """The addresses under which the page's script asks the library."""

    def songs(request: Request, _: str) -> Response:
        return JSONResponse(library.search(*search_of(request.query_params)), headers=PRIVATE)

    def similar(request: Request, _: str) -> Response:
        return JSONResponse(library.similar(_whole(request.path_params["song"])), headers=PRIVATE)

    def sound(request: Request, _: str) -> Response:
        file = library.file(_whole(request.path_params["song"]))
        media_type = MEDIA_TYPES.get(file.suffix.lower(), "application/octet-stream")
        return FileResponse(file, media_type=media_type, headers=PRIVATE)

    def correct(request: Request, visitor: str) -> Response:
        labels = request.query_params.getlist("class")
        said = library.correct(_whole(request.path_params["song"]), labels, visitor)
        return JSONResponse(said, headers=PRIVATE)

    return [
        Route("/library/songs", _answered(songs)),
        Route("/library/similar/{song}", _answered(similar)),
        Route("/library/sound/{song}", _answered(sound)),
        Route("/library/correct/{song}", _answered(correct), methods=["POST"]),
    ]


def search_of(parameters: Mapping[str, str]) -> tuple[Search, int]:
    """What an address asks for: the search and the first song's place; ValueError if it is none."""
    words, offset = parameters.get("words", ""), parameters.get("offset", "0")
    certainty, order = parameters.get("certainty", ""), parameters.get("order", "file")
    if len(words) > LONGEST:
        raise ValueError(f"a search of more than {LONGEST} characters")
    if certainty not in CERTAINTIES or order not in ORDERS:
        raise ValueError("no such certainty, or no such order")
    return Search(words, parameters.get("class", ""), certainty, order), _whole(offset)


def _whole(text: str) -> int:
    """The number of at most nine digits; ValueError for another text."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError("expected a whole number of at most nine digits")
    return int(text)


def _answered(function: Callable[[Request, str], Response]) -> Callable[[Request], Any]:
    """An endpoint that asks who it is, and answers in words what cannot be done."""

    async def endpoint(request: Request) -> Response:
        visitor = visitor_of(request)
        if request.app.auth is not None and visitor is None:
            return JSONResponse({"error": "log in first"}, 401, PRIVATE)
        try:
            return await run_in_threadpool(function, request, visitor or "a visitor")
        except NotThere as error:
            return JSONResponse({"error": str(error)}, 404, PRIVATE)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400, PRIVATE)
        except (sqlite3.Error, OSError) as error:  # a disk that is full or gone
            print(f"warning: the library cannot be used: {error}", file=sys.stderr)
            return JSONResponse({"error": "the library cannot be used now"}, 503, PRIVATE)

    return endpoint


def visitor_of(request: Request) -> str | None:
    """The name of the visitor who logged in, as Gradio's own addresses know it; else None."""
    app = request.app
    names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    tokens = [token for name in names if (token := request.cookies.get(name))]
    return app.tokens.get(tokens[0]) if tokens else None
