"""The same picture twice: exact and near duplicates, and groups that keep them on one side."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data.images.read import read_picture

if TYPE_CHECKING:  # it imports torchvision, which takes seconds
    from data.image_folder import Examples

SIDE = 32
# Measured on GTZAN's 499,000 pairs of pictures: of each of the 48 pairs above 0.6 the published
# fault-filtered split leaves a picture out; the first pair that it keeps has 0.50. Pairs of
# different music in two other collections reach 0.54 and 0.45.
NEAR = 0.6
MOST_COMPARED = 50_000  # every picture with every other: a minute on two cores
BLANK_RANGE = 3  # grey steps between the darkest and the brightest pixel


class Duplicate(NamedTuple):
    """Two positions whose pictures are the same (similarity 1, exact) or nearly so."""

    first: int
    second: int
    similarity: float
    exact: bool


@dataclass(frozen=True)
class Fingerprints:
    """What tells pictures apart: digests bytes (n,), thumbnails uint8 (n, 32, 32), blank bool (n,).

    There are no thumbnails of more than MOST_COMPARED pictures: nobody compares them.
    """

    digests: np.ndarray
    thumbnails: np.ndarray
    blank: np.ndarray

    def take(self, keep: np.ndarray) -> "Fingerprints":
        """Those of the pictures at the positions `keep`."""
        thumbnails = self.thumbnails[keep] if len(self.thumbnails) else self.thumbnails
        return Fingerprints(self.digests[keep], thumbnails, self.blank[keep])


def fingerprint(pixels: np.ndarray) -> tuple[bytes, np.ndarray, bool]:
    """(digest of the exact pixels, grey thumbnail uint8 (32, 32), blank) of uint8 (H, W, 3)."""
    grey = Image.fromarray(pixels).convert("L")
    low, high = grey.getextrema()
    thumbnail = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
    digest = sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest(), thumbnail, high - low < BLANK_RANGE  # type: ignore[operator]


def fingerprints(pictures: Iterable[np.ndarray | Path]) -> Fingerprints:
    """The fingerprints of pictures, given as pixels uint8 (H, W, 3) or as readable files."""

    def one(picture: np.ndarray | Path) -> tuple[bytes, np.ndarray, bool]:
        return fingerprint(read_picture(picture) if isinstance(picture, Path) else picture)

    with ThreadPoolExecutor(cpu_count()) as pool:
        found = list(pool.map(one, pictures))
    digests, thumbnails, blank = zip(*found, strict=True)
    if len(found) > MOST_COMPARED:
        thumbnails = thumbnails[:0]
    small = np.array(thumbnails, np.uint8).reshape(-1, SIDE, SIDE)
    return Fingerprints(np.array(digests, "S32"), small, np.array(blank))


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


def joined(groups: np.ndarray, pairs: list[Duplicate]) -> np.ndarray:
    """The groups, str (n,), with those that a pair connects made one, named after its first."""
    names, index = np.unique(groups, return_inverse=True)
    rows = [index[pair.first] for pair in pairs]
    columns = [index[pair.second] for pair in pairs]
    edges = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(names), len(names)))
    _, component = connected_components(edges, directed=False)
    _, first = np.unique(component, return_index=True)  # names are sorted: the first is the least
    return names[first[component]][index]


def keep_together(examples: "Examples", pairs: list[Duplicate]) -> "Examples":
    """The examples with the groups of each pair made one, so that no split can part them."""
    return replace(examples, groups=joined(examples.groups, pairs))


def notes_on(pairs: list[Duplicate], examples: "Examples") -> list[str]:
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
