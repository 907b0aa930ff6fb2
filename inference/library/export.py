"""The library as playlists of each class, and as one table."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common.files import whole_path, write_csv
from common.text import printable
from inference.library.index import TAG_COLUMNS, Song

if TYPE_CHECKING:
    import pyarrow

COLUMNS = (
    "path", *TAG_COLUMNS, "genres", "seconds", "class", "probability", "agreement", "unsure",
    "distance",
)  # fmt: skip


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
