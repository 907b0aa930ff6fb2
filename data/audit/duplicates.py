"""The same picture twice: exact and near duplicates, and groups that keep them on one side."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data.examples import Examples
from data.images.fingerprints import Fingerprints

# Measured on GTZAN's 499,000 pairs of pictures: of each of the 48 pairs above 0.6 the published
# fault-filtered split leaves a picture out; the first pair that it keeps has 0.50. Pairs of
# different music in two other collections reach 0.54 and 0.45.
NEAR = 0.6


class Duplicate(NamedTuple):
    """Two positions whose pictures are the same (similarity 1, exact) or nearly so."""

    first: int
    second: int
    similarity: float
    exact: bool


def find_duplicates(prints: Fingerprints, groups: np.ndarray) -> list[Duplicate]:
    """Pairs of different groups that are duplicates, the most alike first; blank ones are none.

    Of k equal pictures the first is paired with each other one. Clips of one group may be alike.
    """
    first_of: dict[bytes, int] = {}
    found, distinct = [], []
    for i, (digest, blank) in enumerate(
        zip(prints.digests.tolist(), prints.blank.tolist(), strict=True)
    ):
        if blank:
            continue
        first = first_of.setdefault(digest, i)
        if first == i:
            distinct.append(i)
        elif groups[first] != groups[i]:
            found.append(Duplicate(first, i, 1.0, True))
    if len(prints.thumbnails):
        found += _near(_rows(prints.thumbnails), np.array(distinct, dtype=int), groups)
    return sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def _rows(thumbnails: np.ndarray) -> np.ndarray:
    """Rows float32 (n, 1024) of length 1, or 0 where a picture does not change along both axes.

    Thumbnails less the mean of each row and column: what two pieces share because they have the
    same instruments or loudness is taken away, what happens when stays.
    """
    small = thumbnails.astype(np.float32)
    small -= (
        small.mean(axis=1, keepdims=True)
        + small.mean(axis=2, keepdims=True)
        - small.mean(axis=(1, 2), keepdims=True)
    )
    rows = small.reshape(len(small), -1)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 1)


def _near(rows: np.ndarray, distinct: np.ndarray, groups: np.ndarray) -> list[Duplicate]:
    found = []
    for start in range(0, len(distinct), 1000):
        block = distinct[start : start + 1000]
        others = distinct[start:]
        alike = rows[block] @ rows[others].T  # (1000, n)
        for a, b in zip(*np.nonzero(alike >= NEAR), strict=True):
            i, j = int(block[a]), int(others[b])
            if i < j and groups[i] != groups[j]:
                found.append(Duplicate(i, j, float(alike[a, b]), False))
    return found


def merge_groups(groups: np.ndarray, pairs: list[Duplicate]) -> np.ndarray:
    """The groups, str (n,), with those that a pair connects made one, named after its first."""
    names, index = np.unique(groups, return_inverse=True)
    rows = [index[pair.first] for pair in pairs]
    columns = [index[pair.second] for pair in pairs]
    edges = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(names), len(names)))
    _, component = connected_components(edges, directed=False)
    _, first = np.unique(component, return_index=True)  # names are sorted: the first is the least
    return names[first[component]][index]


def merge_duplicates(examples: Examples, pairs: list[Duplicate]) -> Examples:
    """The examples with the groups of each pair made one, so that no split can part them."""
    return replace(examples, groups=merge_groups(examples.groups, pairs))


def duplicate_notes(pairs: list[Duplicate], examples: Examples) -> list[str]:
    """Sentences on the duplicates for a reader: how many, and which are in two classes."""
    exact = sum(pair.exact for pair in pairs)
    notes = []
    if pairs:
        notes.append(
            f"{exact} pairs of pictures are the same and {len(pairs) - exact} nearly so, under "
            "different names"
        )
    for pair in pairs:
        if examples.labels[pair.first] != examples.labels[pair.second]:
            names = f"{examples.paths[pair.first]} and {examples.paths[pair.second]}"
            notes.append(f"{names} are duplicates in two classes: one label is wrong")
    return notes
