"""A CSV of features to examples and numbers; what is dropped or missing is said."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.examples import Examples
from data.tabular.csv_file import (
    COORDINATES,
    NAMES,
    is_missing,
    number_of,
    read_cells,
    row_names,
    some_of,
)


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


def read_table(file: Path, label: str, group: str) -> Table:
    """The table in `file`, whose column `label` is the class.

    group: the column that may not straddle a split; "group" is optional: without it each row stands
    alone, as with "none". A label `country` that is no column comes from latitude and longitude.
    Text, constant and empty columns and numbers of rows are dropped and said, as are rows without a
    label. Raises ValueError for a missing file or column, and when there are not two classes.
    """
    header, rows = read_cells(file)
    if label not in header and label == "country" and set(COORDINATES) <= set(header):
        rows = _with_countries(rows)
    elif label not in header:
        raise ValueError(f"--label {label}: {file} has no such column; it has {some_of(header)}")
    if group not in (*header, "group", "none"):
        raise ValueError(f"--group {group}: {file} has no such column; it has {some_of(header)}")
    notes = []
    named = [row for row in rows if not is_missing(row[label])]
    if len(named) < len(rows):
        notes.append(f"{len(rows) - len(named)} rows without {label} are left out")
    classes = tuple(sorted({row[label].strip() for row in named}))
    if len(classes) < 2:
        raise ValueError(
            f"{file}: column {label} needs at least two classes; it has {some_of(classes)}"
        )
    paths = row_names(header, named)
    apart = group == "none" or group not in header
    groups = paths if apart else np.array([row[group].strip() for row in named])
    labels = np.array([classes.index(row[label].strip()) for row in named], dtype=np.int64)
    place = COORDINATES if label == "country" else ()  # they would give the class away
    taken = {label, group, "group", *NAMES, *place}
    columns, values = _numbers(header, named, taken, notes)
    if not columns:
        raise ValueError(f"{file} has no column of numbers to learn from")
    alone = np.zeros(len(named), dtype=bool)
    examples = Examples(file, classes, paths, labels, groups, paths, alone)
    return Table(examples, values, columns, notes)


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


def _with_countries(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows with a cell `country`, that of their latitude and longitude; empty without them."""
    import reverse_geocode

    cells = ((number_of(row[name]) for name in COORDINATES) for row in rows)
    places = {
        i: (latitude, longitude)
        for i, (latitude, longitude) in enumerate(cells)
        if latitude is not None and abs(latitude) <= 90  # neither of NaN nor of infinity
        if longitude is not None and abs(longitude) <= 180
    }
    found = reverse_geocode.search(list(places.values())) if places else []
    countries = dict(zip(places, (place["country"] for place in found), strict=True))
    return [row | {"country": countries.get(i, "")} for i, row in enumerate(rows)]
