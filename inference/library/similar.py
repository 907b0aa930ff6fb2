"""The songs nearest to one by their embeddings; recordings that are the same said apart."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from common.files import absolute
from inference.library.fingerprint import likeness, likeness_of_cuts
from inference.library.index import Index, IndexedModel, Song

MOMENT = re.compile(r"(.+)@((?:\d+:)?(?:\d+:)?\d+(?:\.\d+)?)")
N_COMPARED = 100  # nearest songs of which it is asked whether they are the same recording
N_EXACT = 2000  # songs that are compared exactly
N_DESCRIBED = 2000  # songs, evenly over the library, that tell its mean and variances
# What changes within songs weighs so much beside what differs between them: chosen on one half of a
# set of game music, where 3 to 20 are as good (bench/RESULTS.md).
WITHIN = 5.0
# Fingerprints of two encodings of a recording correlate by 0.80 and more, and their embeddings by
# 0.69; those of two other pieces, of 75,466 pairs of game music cut to equal lengths, by 0.64 at
# most, shifted or not, where their embeddings do by 0.5 (bench/RESULTS.md).
SAME_FINGERPRINT, SAME_EMBEDDING = 0.67, 0.5
SAME_SECONDS, SAME_SHARE = 2.0, 0.02  # by which two encodings of one recording differ in length


@dataclass(frozen=True)
class Query:
    """What is looked for. seconds and fingerprint: empty for a moment of a song."""

    embedding: np.ndarray
    path: Path | None = None
    digest: str = ""
    seconds: float = 0.0
    fingerprint: np.ndarray | None = None


@dataclass(frozen=True)
class Near:
    """A song near the one that was asked for.

    kind: "itself", "same file", "same recording" or "similar"; cosine: of similar songs beside what
    the library's songs have in common, else of the embeddings as they are.
    """

    song: int
    cosine: float
    kind: str


class Embeddings:
    """The embeddings of a library, ready to be compared. songs: their numbers, int64 (n,).

    What all its music has in common tells no two songs apart: the mean is taken away, and
    directions in which songs vary much, or change from their first half to their second, count less
    (A. O. Hatch, S. Kajarekar, A. Stolcke, "Within-class covariance normalization for SVM-based
    speaker recognition", Interspeech 2006). Another clip of a recording then comes first more often
    (bench/RESULTS.md). kept: as the index has them, float16 (n, F).
    """

    def __init__(self, index: Index, model: IndexedModel) -> None:
        """Read them; ValueError when there are none."""
        self.songs, self.kept = index.embeddings(model)
        if not len(self.songs):
            raise ValueError(f"{index.file} has no song yet that {model.file} has answered for")
        self._rows = self.kept.astype(np.float32)
        step = -(-len(self._rows) // N_DESCRIBED)
        some = self._rows[::step]
        self._mean = some.mean(axis=0) if len(some) > 1 else np.zeros(some.shape[1], np.float32)
        within = index.differences(model, self.songs[::step].tolist()).astype(np.float32)
        if not np.isfinite(self._rows.sum() + within.sum()):
            raise ValueError(f"{index.file} is damaged: an embedding is no number; scan anew")
        self._whitening = _whitening(some - self._mean, within)
        squares = np.einsum("ij,ij->i", self._rows, self._rows)
        squares += self._mean @ self._mean - 2 * (self._rows @ self._mean)
        self._lengths = np.sqrt(np.maximum(squares, 1e-12))  # of the rows without the mean

    @cached_property
    def unit(self) -> np.ndarray:
        """All songs, float32 (n, F), each of unit length."""
        return self._prepared(self._rows)

    def _prepared(self, rows: np.ndarray) -> np.ndarray:
        rows = (rows - self._mean) @ self._whitening
        rows /= np.maximum(np.sqrt(np.einsum("ij,ij->i", rows, rows)), 1e-12)[:, None]
        return rows

    def nearest(self, embedding: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """(places in `songs`, cosines) of the n songs nearest to an embedding float (F,).

        Exact among the N_EXACT that are nearest by lengths before the whitening: to make 50,000
        songs ready takes longer than a second.
        """
        wanted = self._prepared(embedding[None].astype(np.float32))[0]
        direction = self._whitening @ wanted
        near = (self._rows @ direction - self._mean @ direction) / self._lengths
        some = _largest(near, max(n, N_EXACT))
        cosines = self._prepared(self._rows[some]) @ wanted
        best = _largest(cosines, n)
        return some[best], cosines[best]


def _largest(values: np.ndarray, n: int) -> np.ndarray:
    """Places of the n largest values, the largest first; of equal ones the earlier."""
    n = min(n, len(values))
    some = np.sort(np.argpartition(-values, n - 1)[:n])
    ordered: np.ndarray = some[np.argsort(-values[some], kind="stable")]
    return ordered


def _whitening(centred: np.ndarray, within: np.ndarray) -> np.ndarray:
    """float32 (F, F): what makes the variances of rows (n, F), and within songs, more even.

    within: how the halves of songs differ, (m, F), m may be 0. The variances are taken together
    with their mean, and the more of that the fewer rows tell them.
    """
    n, n_features = centred.shape
    both = _covariance(centred) + (1 + n_features / n) * np.eye(n_features)
    if len(within):
        both += WITHIN * _covariance(within)
    variances, directions = np.linalg.eigh(both)
    even: np.ndarray = (directions / np.sqrt(variances)) @ directions.T
    return even.astype(np.float32)


def _covariance(rows: np.ndarray) -> np.ndarray:
    """float64 (F, F): of rows (n, F) about 0, in units of their mean variance."""
    products = rows.T @ rows / len(rows)
    scaled: np.ndarray = products / max(float(np.trace(products)) / len(products), 1e-12)
    return scaled.astype(np.float64)


def split_moment(text: str) -> tuple[str, float | None]:
    """(path, seconds) of song.mp3@1:20; a file of that very name is no moment.

    Raises ValueError where 60 or more stands behind a colon.
    """
    found = MOMENT.fullmatch(text)
    if not found or Path(text).exists():
        return text, None
    first, *rest = map(float, found[2].split(":"))
    if any(part >= 60 for part in rest):
        raise ValueError(
            f"{text}: {found[2]} is no time; expected less than 60 behind a colon, as in "
            f"{found[1]}@1:20"
        )
    seconds = first
    for part in rest:
        seconds = 60 * seconds + part
    return found[1], seconds


def query_of_indexed(index: Index, model: IndexedModel, path: str) -> Query | None:
    """The query for a song of the index, as it is on the disk or no longer is; None for another."""
    place = absolute(path)
    known = index.song_at(place, model)
    if known is None:
        return None
    if place.exists() and place.stat().st_mtime_ns != known.file.mtime_ns:
        return None  # another song may stand there by now
    return query_of_song(index, model, known)


def query_of_song(index: Index, model: IndexedModel, song: Song) -> Query:
    """The query for a song as the index has it."""
    embedding = index.embedding(model, song.id)
    fingerprint = index.fingerprints(model, [song.id])[song.id]
    return Query(embedding, song.file.path, song.file.digest, song.seconds, fingerprint)


def nearest(
    index: Index, model: IndexedModel, embeddings: Embeddings, query: Query, n: int
) -> list[Near]:
    """The n nearest songs, copies and other encodings of the recording before similar music."""
    some, cosines = embeddings.nearest(query.embedding, n + N_COMPARED)
    numbers = embeddings.songs[some].tolist()
    plain = embeddings.kept[some[:N_COMPARED]] @ query.embedding  # alike whatever the library is
    alike = np.flatnonzero(plain >= SAME_EMBEDDING)
    kinds = _kinds(index, model, [numbers[i] for i in alike], query)
    near = []
    for i, song in enumerate(numbers):
        kind = kinds.get(song, "similar")
        cosine = float(cosines[i]) if kind == "similar" else min(float(plain[i]), 1.0)
        near.append(Near(song, cosine, kind))
    others = [one for one in near if one.kind != "itself"]
    return sorted(others, key=lambda one: one.kind == "similar")[:n]


def _kinds(
    index: Index, model: IndexedModel, numbers: Sequence[int], query: Query
) -> dict[int, str]:
    """What the songs are to the one that is asked for, where they are more than similar."""
    kinds = {}
    fingerprints = index.fingerprints(model, numbers)
    for song in index.songs(model, numbers):
        if song.file.path == query.path:
            kinds[song.id] = "itself"
        elif query.digest and song.file.digest == query.digest:
            kinds[song.id] = "same file"
        elif _is_same_recording(query, song, fingerprints[song.id]):
            kinds[song.id] = "same recording"
    return kinds


def _is_same_recording(query: Query, song: Song, fingerprint: np.ndarray) -> bool:
    if query.fingerprint is None:
        return False
    apart = abs(song.seconds - query.seconds)
    if apart > max(SAME_SECONDS, SAME_SHARE * query.seconds):
        return False
    if likeness(query.fingerprint, fingerprint) >= SAME_FINGERPRINT:
        return True
    alike = likeness_of_cuts(query.fingerprint, fingerprint, query.seconds, song.seconds)
    return alike >= SAME_FINGERPRINT
