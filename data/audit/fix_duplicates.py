"""Duplicates mended in the folder itself: given one group in clips.csv, or moved out of it."""

import numpy as np

from common.files import write_records
from data.audit.duplicates import Duplicate, merge_groups
from data.examples import Examples
from data.image_folder import read_clip_table


def share_groups(examples: Examples, pairs: list[Duplicate]) -> str:
    """Write the joined groups into the folder's clips.csv, made if absent; says what was done."""
    if not pairs:
        return "no duplicates: nothing to do"
    table, labels = read_clip_table(examples.root), examples.label_names()
    groups = dict(zip(examples.paths, merge_groups(examples.groups, pairs), strict=True))
    columns = list(next(iter(table.values()), {"path": "", "label": ""}))
    columns += [name for name in ("group",) if name not in columns]
    for i, path in enumerate(examples.paths):
        row = table.setdefault(str(path), {"path": str(path)})
        row["label"] = row.get("label") or labels[i]
        row["group"] = str(groups[path])
    file = examples.root / "clips.csv"
    write_records(file, columns, list(table.values()))
    n = len(np.unique(examples.groups)) - len(set(groups.values()))
    return f"{n} groups joined with others in {file}"


def drop(examples: Examples, pairs: list[Duplicate]) -> str:
    """Move all but the first of each set of equal pictures to <folder>-dropped; says what was done.

    A set that is in several classes is moved whole: nobody knows which label is right.
    """
    if not pairs:
        return "no duplicates: nothing to do"
    alone = np.array([str(path) for path in examples.paths])
    sets = merge_groups(alone, pairs)
    target = examples.root.resolve().with_name(examples.root.resolve().name + "-dropped")
    dropped: list[str] = []
    for name in np.unique(sets[[pair.first for pair in pairs]]):
        members = np.flatnonzero(sets == name)
        several = len(np.unique(examples.labels[members], axis=0)) > 1
        dropped += [str(path) for path in examples.paths[members[0 if several else 1 :]]]
    for path in dropped:
        if (target / path).exists():
            raise ValueError(f"{target / path} exists already; move that folder away first")
    for path in dropped:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (examples.root / path).rename(target / path)
    table = read_clip_table(examples.root)
    if table:
        left = [row for path, row in table.items() if path not in set(dropped)]
        write_records(examples.root / "clips.csv", list(next(iter(table.values()))), left)
    return f"{len(dropped)} pictures moved to {target}"
