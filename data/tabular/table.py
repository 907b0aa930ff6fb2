"""A CSV of features to examples and numbers; what is dropped or missing is said."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common.country import countries_of, point_of
from common.recordings import LEAST_SONGS, PICTURES, SOUNDS, recording_of, song_groups
from data.examples import Examples
from data.tabular.csv_file import (
    NAMES,
    NUMBERED,
    Cells,
    is_missing,
    number_of,
    read_cells,
    row_names,
    some_of,
)

COORDINATES = ("latitude", "longitude")  # in degrees


@dataclass(frozen=True)
class Table:
    """Examples, one per row, and their features.

    values: float32 (n, F), NaN where a cell is empty; columns: the F names; notes: what was
    dropped, and what is missing.
    """

    examples: Examples
    values: np.ndarray
    columns: tuple[str, ...]
    notes: list[str]


def read_table(file: Path, label: str, group: str, *, has_header: bool = True) -> Table:
    """The table in `file`, whose column `label` is the class.

    group: the column that may not straddle a split; "group" is optional: without it rows are of
    songs as the names of their files tell (`song_groups`), or each stands alone, as with "none". A
    label `country` that is no column comes from latitude and longitude, in
    a file without a header from its last two columns, as UCI's "Geographical Original of Music" has
    them. Text, constant and empty columns and numbers of rows are dropped and said, as are rows
    without a label. Raises ValueError for a missing file or column, and when there are not two
    classes.
    """
    cells = read_cells(file, header=has_header)
    if label == "country":
        cells = _with_countries(cells)
    header, rows = cells.header, cells.rows
    for option, name, optional in (("label", label, ()), ("group", group, ("group", "none"))):
        if name not in (*header, *optional):
            raise ValueError(
                f"--{option} {name}: {file} has no such column; it has {some_of(header)}"
                + _about_the_header(cells)
            )
    notes = list(cells.notes)
    named = [row for row in rows if not is_missing(row[label])]
    if len(named) < len(rows):
        notes.append(f"{len(rows) - len(named)} rows without {label} are left out")
    classes = tuple(sorted({row[label].strip() for row in named}))
    if len(classes) < 2:
        raise ValueError(
            f"{file}: column {label} needs at least two classes; it has {some_of(classes)}"
        )
    paths = row_names(header, named)
    if group in header:
        groups = np.array([row[group].strip() for row in named])
    else:
        groups = paths if group == "none" else _songs(header, named, label, paths, notes)
    labels = np.array([classes.index(row[label].strip()) for row in named], dtype=np.int64)
    place = COORDINATES if label == "country" else ()  # they would give the class away
    taken = {label, group, "group", *NAMES, *place}
    columns, values = _numbers(header, named, taken, notes)
    if not columns:
        split = f"; for a split: python main.py FOLDER --split {file}" * ("split" in header)
        raise ValueError(f"{file} has no column of numbers to learn from{split}")
    alone = np.zeros(len(named), dtype=bool)
    examples = Examples(file, classes, paths, labels, groups, paths, alone)
    return Table(examples, values, columns, notes)


def _songs(
    header: list[str], rows: list[dict[str, str]], label: str, alone: np.ndarray, notes: list[str]
) -> np.ndarray:
    """The song of each row, str (n,), by the name of its file; `alone` where every row has one."""
    column = next((name for name in NAMES if name in header), None)
    if column is None:
        return alone
    stems = [recording_of(f"{row[label].strip()}/{_stem(row[column])}.x") for row in rows]
    found = song_groups(stems)
    of_class: dict[str, set[str]] = {}
    for row, song in zip(rows, found.groups, strict=True):
        of_class.setdefault(row[label], set()).add(song)
    n_songs = len(set(found.groups))
    if n_songs == len(rows) or min(map(len, of_class.values())) < LEAST_SONGS:
        return alone
    notes += [f"{note} in a column group" for note in found.notes]
    if not found.notes:
        notes.append(
            f"rows with the same {column} are one group: {n_songs} groups of {len(rows)} rows"
        )
    return np.array(found.groups)


def _stem(name: str) -> str:
    """The name of a file without folders and type."""
    name = name.strip().replace("\\", "/").rpartition("/")[2]
    stem, dot, end = name.rpartition(".")
    return stem if dot and f".{end.lower()}" in (*PICTURES, *SOUNDS) else name


def _numbers(
    header: list[str], rows: list[dict[str, str]], taken: set[str], notes: list[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """(names, values float32 (n, F)) of what can be learnt from; notes on the other columns."""
    dropped: dict[str, list[str]] = {"text": [], "constant": [], "empty": [], "numbers of rows": []}
    kept, columns, gaps = [], [], {}
    for name in (name for name in header if name not in taken):
        cells = [number_of(row[name]) for row in rows]
        values = np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
        known = values[~np.isnan(values)]
        if None in cells:
            dropped["text"].append(name)
        elif not len(known):
            dropped["empty"].append(name)
        elif known.min() == known.max():
            dropped["constant"].append(name)
        elif len(known) == len(values) and (np.diff(values) == 1).all():
            dropped["numbers of rows"].append(name)
        else:
            kept.append(values.astype(np.float32))
            columns.append(name)
            gaps[name] = len(values) - len(known)
    for reason, names in dropped.items():
        if names:
            notes.append(f"left out {len(names)} columns, {reason}: {some_of(names)}")
    if missing := {name: n for name, n in gaps.items() if n}:
        notes.append(
            f"{sum(missing.values())} missing cells in {len(missing)} columns "
            f"({some_of(missing)}): filled from the training rows of each fold"
        )
    return tuple(columns), np.stack(kept, axis=1) if kept else np.empty((len(rows), 0), np.float32)


def _about_the_header(cells: Cells) -> str:
    """What helps when a column is missing since the first line has values, or names."""
    if not cells.has_header:
        return f"; its first line is values: --label {cells.header[-1]} is the last column"
    if any(number_of(name) is not None for name in cells.header if name):
        return f"; if its first line is values, --no-header numbers the columns: {NUMBERED}1, ..."
    return ""


def _with_countries(cells: Cells) -> Cells:
    """The rows with a cell `country`, that of their latitude and longitude; empty without them."""
    header = cells.header
    if not cells.has_header and len(header) > len(COORDINATES):
        renamed = [*header[: -len(COORDINATES)], *COORDINATES]
        rows = [dict(zip(renamed, row.values(), strict=True)) for row in cells.rows]
        if all(point_of(*(row[name] for name in COORDINATES)) for row in rows):
            said = "its last two columns are taken for latitude and longitude"
            cells = replace(cells, header=renamed, rows=rows, notes=[*cells.notes, said])
    if "country" in cells.header or not set(COORDINATES) <= set(cells.header):
        return cells
    places = {i: point for i, row in enumerate(cells.rows)
              if (point := point_of(*(row[name] for name in COORDINATES)))}  # fmt: skip
    found = dict(zip(places, countries_of(list(places.values())), strict=True))
    rows = [row | {"country": found.get(i, "")} for i, row in enumerate(cells.rows)]
    return replace(cells, header=[*cells.header, "country"], rows=rows)
