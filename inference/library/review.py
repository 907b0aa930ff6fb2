"""A library in lists: what to check first, what does not belong, how it is made up, all of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.files import absolute, whole_path, write_csv
from common.text import printable
from inference.library.index import TAG_COLUMNS, Song
from inference.library.similar import Embeddings
from inference.prediction import NONE

if TYPE_CHECKING:
    import pyarrow

N_REFERENCES = 2000  # songs, evenly over the library, that tell how many are like one
N_NEIGHBOURS = 10
COLUMNS = (
    "path", *TAG_COLUMNS, "genres", "seconds", "class", "probability", "agreement", "unsure",
    "distance",
)  # fmt: skip
COPY = 0.8  # cosine from which on checking a second song teaches nothing


def most_doubtful(
    songs: Sequence[Song], embeddings: Embeddings, n: int
) -> list[tuple[float, Song]]:
    """(gain, song) of the n songs to check first, the largest gain first.

    The gain is how undecided the answer is, as entropy in [0, 1], times how like it its ten nearest
    of a sample of the library are: what is learnt from it holds for those (information density,
    B. Settles and M. Craven, EMNLP 2008). Of songs that are nearly the same, the first is listed.
    """
    rows = _rows(songs, embeddings)
    references = rows[:: max(1, len(rows) // N_REFERENCES)]
    density = np.empty(len(rows))
    for start in range(0, len(rows), 1024):  # 8 MB of cosines at a time
        density[start : start + 1024] = _nearest_mean(rows[start : start + 1024] @ references.T)
    entropy = np.array([_entropy(song) for song in songs])
    gain = entropy * np.maximum(density, 0)
    chosen: list[int] = []
    for i in np.argsort(-gain, kind="stable"):
        if len(chosen) == n:
            break
        if not chosen or float((rows[chosen] @ rows[i]).max()) < COPY:
            chosen.append(int(i))
    return [(float(gain[i]), songs[i]) for i in chosen]


def _entropy(song: Song) -> float:
    p = np.array(list(song.prediction.probabilities.values()))
    if song.prediction.several:  # each label is a question of its own
        either = np.stack([p, 1 - p])
        return float(-(either * np.log2(np.maximum(either, 1e-12))).sum(axis=0).mean())
    if len(p) < 2:
        return 0.0
    return float(-(p * np.log(np.maximum(p, 1e-12))).sum() / np.log(len(p)))


def least_like_the_rest(
    songs: Sequence[Song], embeddings: Embeddings, n: int
) -> list[tuple[float, Song]]:
    """(likeness, song) of the n songs that are least like the others, the least like first.

    Likeness is the mean cosine with the ten nearest of the others.
    """
    rows = _rows(songs, embeddings)
    likeness = np.empty(len(rows))
    for start in range(0, len(rows), 1024):
        likeness[start : start + 1024] = _nearest_mean(
            rows[start : start + 1024] @ rows.T, own=True
        )
    order = np.argsort(likeness, kind="stable")[:n]
    return [(float(likeness[i]), songs[i]) for i in order]


def _nearest_mean(cosines: np.ndarray, *, own: bool = False) -> np.ndarray:
    """Mean of the N_NEIGHBOURS largest of each row but the very largest, which is the song itself.

    own: whether that is so in each row; else only where it is as good as 1.
    """
    k = min(N_NEIGHBOURS + 1, cosines.shape[1])
    largest = -np.sort(-np.partition(cosines, -k, axis=1)[:, -k:], axis=1)
    itself = own | (largest[:, 0] > 1 - 1e-5)
    sums = largest.sum(axis=1) - np.where(itself, largest[:, 0], largest[:, -1] if k > 1 else 0)
    means: np.ndarray = sums / max(1, k - 1)
    return means


def _rows(songs: Sequence[Song], embeddings: Embeddings) -> np.ndarray:
    """The embeddings float32 (n, F) of the songs."""
    place = {int(song): i for i, song in enumerate(embeddings.songs)}
    rows: np.ndarray = embeddings.unit[[place[song.id] for song in songs]]
    return rows


def members(songs: Iterable[Song], name: str, classes: Sequence[str]) -> list[Song]:
    """The songs of a class, of a folder, or of an M3U playlist. ValueError when there are none."""
    if Path(name).suffix.lower() in (".m3u", ".m3u8") and Path(name).is_file():
        from render.sources.playlists import playlist_entries

        listed = {absolute(path) for path in playlist_entries(Path(name))}
        found = [song for song in songs if song.file.path in listed]
    elif name in classes:
        found = [song for song in songs if name in song.prediction.labels]
    elif Path(name).is_dir():
        folder = absolute(name)
        found = [song for song in songs if folder in song.file.path.parents]
    else:
        raise ValueError(
            f"{name}: no class, folder or M3U playlist; the classes are {', '.join(classes)}"
        )
    if not found:
        raise ValueError(f"{name}: the index has no song of it")
    return found


def summary(songs: Sequence[Song], failures: Sequence[tuple[Path, str]]) -> list[str]:
    """Lines of tab-separated cells: classes, decades, and how like the training the songs are."""
    hours = sum(song.seconds for song in songs) / 3600
    lines = [f"{len(songs)} songs, {hours:.1f} hours; {len(failures)} files without an answer"]
    counts = Counter(_named(songs))
    sure = Counter(_named(song for song in songs if not song.prediction.unsure))
    lines += ["", "class\tsongs\tsure\tmean probability"]
    for label, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        own = [
            p.probabilities.get(label, p.probability)
            for p in (song.prediction for song in songs)
            if label in (p.labels or (NONE,))
        ]
        lines.append(f"{label}\t{count}\t{sure[label]}\t{np.mean(own):.2f}")
    lines += ["", "decade\tsongs\tunsure\tdistance from the training\tcommonest class"]
    decades: dict[str, list[Song]] = {}
    for song in songs:
        year = song.tags.date[:4]
        decades.setdefault(f"{year[:3]}0s" if year.isdecimal() else "unknown", []).append(song)
    for decade, some in sorted(decades.items()):
        unsure = sum(1 for song in some if song.prediction.unsure)
        commonest = Counter(_named(some)).most_common(1)[0][0]
        lines.append(f"{decade}\t{len(some)}\t{unsure}\t{_drift(some)}\t{commonest}")
    return lines


def _named(songs: Iterable[Song]) -> Iterator[str]:
    """The classes of each song: one, or of several labels all of them, or that there is none."""
    for song in songs:
        yield from song.prediction.labels or (NONE,)


def _drift(songs: Sequence[Song]) -> str:
    """The mean distance; above 1 most songs are farther than 95 % of the training pictures."""
    known = [song.distance for song in songs if song.distance is not None]
    return f"{np.mean(known):.2f}" if known else "not known"


def write_table(file: Path, songs: Iterable[Song], classes: Sequence[str]) -> int:
    """Write a row for each song, as .csv or .parquet; how many. ValueError for another suffix.

    A class's column is named p_<class>, as one may be called like another column.
    """
    columns = (*COLUMNS, *(f"p_{name}" for name in classes))
    rows = [_cells(song) for song in songs]
    if file.suffix == ".csv":
        texts = ([printable(c) if isinstance(c, str) else _number(c) for c in row] for row in rows)
        write_csv(file, [printable(name) for name in columns], texts)
    elif file.suffix == ".parquet":
        try:
            from pyarrow import parquet
        except ImportError:
            raise ValueError(
                f"{file}: Parquet needs pyarrow (pip install pyarrow); or write {file.stem}.csv"
            ) from None
        with whole_path(file) as temporary:
            parquet.write_table(_arrow(columns, rows), temporary)
    else:
        raise ValueError(f"{file}: expected a name that ends in .csv or .parquet")
    return len(rows)


def _cells(song: Song) -> list[str | float | None]:
    p, tags = song.prediction, song.tags
    texts = [getattr(tags, name) for name in TAG_COLUMNS]
    return [
        str(song.file.path), *texts, "; ".join(tags.genres), song.seconds, p.label, p.probability,
        p.agreement, p.unsure or "", song.distance, *p.probabilities.values(),
    ]  # fmt: skip


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _arrow(columns: Sequence[str], rows: list[list[str | float | None]]) -> "pyarrow.Table":
    import pyarrow

    texts = {"path", *TAG_COLUMNS, "genres", "class", "unsure"}
    fields = [(name, pyarrow.string() if name in texts else pyarrow.float64()) for name in columns]
    arrays = [
        pyarrow.array([printable(c) if isinstance(c, str) else c for c in cells], kind)
        for cells, (_, kind) in zip(zip(*rows, strict=True), fields, strict=True)
    ]
    return pyarrow.table(arrays, names=list(columns))
