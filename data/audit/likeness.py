"""How alike the music of pictures is, and how alike different music of one collection gets.

A picture is its thumbnail less what it shares with the others: the mean of each of its rows and
columns (instruments, loudness), the collection's mean picture, and the directions in which most
pictures differ. What is left is what happens when. Both are compared moved by a little.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MOVED = 1  # thumbnail columns by which one of two pictures may be moved: 1.6 % of the time
SHARED = 10  # directions that are taken away, one for each hundred pictures up to this
ENOUGH = 50  # pictures whose mean is their drawing's, and not that of a few pieces
NUMBERS = 128  # of a picture, by which it is first compared with all others
CANDIDATE = 0.5  # similarity of these above which two pictures are compared as a whole
BLOCK = 1000  # pictures whose rows are made, and pairs that are compared, at a time
TILE = 1000  # pictures that are compared with as many others at a time
SEEN = 5000  # pictures whose mean and directions are those of all
SAMPLED = 1000  # pictures all of whose pairs show how alike different music is
FALSE_PAIRS = 0.01  # that are expected above the threshold among all pairs of a collection
# Among 999 pictures of GTZAN 52 pairs are above 0.55, and the published fault-filtered split leaves
# out a picture of each of them; the first pair that it keeps has 0.39. Different music reaches 0.49
# in eleven small collections, too few pairs to tell their own tail.
LEAST, MOST = 0.55, 0.9


@dataclass(frozen=True)
class Music:
    """Grey thumbnails uint8 (n, height, width), and what all of them share.

    mean (F,) and directions (F, k) are taken away from each; basis (F, NUMBERS): the directions in
    which the rest differs most.
    """

    thumbnails: np.ndarray
    mean: np.ndarray
    directions: np.ndarray
    basis: np.ndarray

    @classmethod
    def of(cls, thumbnails: np.ndarray) -> "Music":
        """The music of pictures by their thumbnails, uint8 (n, height, width)."""
        n, _, width = thumbnails.shape
        some = _changes(_spread(thumbnails, SEEN)[:, :, MOVED : width - MOVED])
        mean = some.mean(axis=0) if n >= ENOUGH else np.zeros(some.shape[1], np.float32)
        rows = _of_length_1(some - mean)
        directions = _directions(rows)[:, : min(SHARED, n // 100)]
        rows = _of_length_1(rows - (rows @ directions) @ directions.T)
        return cls(thumbnails, mean, directions, _directions(rows)[:, :NUMBERS])

    def rows(self, positions: np.ndarray | slice) -> np.ndarray:
        """Float32 (2 * MOVED + 1, k, F) of length 1, moved by each step; 0 if nothing happens."""
        some = self.thumbnails[positions]
        width = some.shape[2]
        found = []
        for step in range(2 * MOVED + 1):
            moved = _changes(some[:, :, step : width - 2 * MOVED + step])
            quiet = np.linalg.norm(moved, axis=1) <= 1
            moved = _of_length_1(moved - self.mean)
            moved = _of_length_1(moved - (moved @ self.directions) @ self.directions.T)
            moved[quiet] = 0
            found.append(moved)
        return np.stack(found)

    def similarities_among(self, positions: np.ndarray) -> np.ndarray:
        """Similarity in [-1, 1] of each picture at the positions with each other, (k, k)."""
        rows = self.rows(positions)
        alike = np.max([rows[MOVED] @ moved.T for moved in rows], axis=0)
        return np.maximum(alike, alike.T)

    def similarities(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Similarity in [-1, 1] of each of the pairs of positions (k,)."""
        found = [np.empty(0, np.float32)]
        for start in range(0, len(first), BLOCK):
            a = self.rows(first[start : start + BLOCK])
            b = self.rows(second[start : start + BLOCK])
            ahead = np.einsum("if,sif->si", a[MOVED], b).max(axis=0)
            behind = np.einsum("if,sif->si", b[MOVED], a).max(axis=0)
            found.append(np.maximum(ahead, behind))
        return np.concatenate(found)

    def candidates(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs of positions i < j that may be alike, block by block, by their NUMBERS alone."""
        n = len(self.thumbnails)
        blocks = [self.rows(slice(i, i + BLOCK)) @ self.basis for i in range(0, n, BLOCK)]
        short = _of_length_1(np.concatenate(blocks, axis=1))  # (2 * MOVED + 1, n, NUMBERS)
        del blocks
        for start in range(0, n, TILE):
            rows = short[MOVED, start : start + TILE]
            for other in range(start, n, TILE):  # so many that their similarities stay in the cache
                columns = short[:, other : other + TILE]
                alike = rows @ columns[0].T
                for moved in columns[1:]:
                    np.maximum(alike, rows @ moved.T, out=alike)
                if alike.max() < CANDIDATE:  # as of nearly all, and sooner known than their places
                    continue
                first, second = np.nonzero(alike >= CANDIDATE)
                ahead = first + start < second + other
                yield first[ahead] + start, second[ahead] + other


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows (n, ...), drawn at random."""
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(0).choice(len(rows), most, replace=False))]


def _changes(thumbnails: np.ndarray) -> np.ndarray:
    """Thumbnails (n, H, W) less the mean of each row and column: float32 (n, H * W)."""
    small = thumbnails.astype(np.float32)
    small -= (
        small.mean(axis=1, keepdims=True)
        + small.mean(axis=2, keepdims=True)
        - small.mean(axis=(1, 2), keepdims=True)
    )
    return small.reshape(len(small), -1)


def _of_length_1(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-6)


def _directions(rows: np.ndarray) -> np.ndarray:
    """Directions (F, F) in which rows (n, F) differ, the strongest first."""
    return np.linalg.eigh(rows.T @ rows)[1][:, ::-1]


def threshold(similarities: np.ndarray, n_pictures: int, n_pairs: int) -> float:
    """The similarity that FALSE_PAIRS of n_pairs pairs of different music are expected to exceed.

    similarities (k,): of pairs drawn from them. The tail beyond a hundredth of them is continued
    as an exponential one; as many pairs as a quarter of the pictures may be true duplicates.
    """
    if len(similarities) < 2:
        return MOST
    true = min(0.5, n_pictures / 4 / n_pairs)
    lower, upper = np.quantile(similarities, [(1 - 1e-2) * (1 - true), (1 - 1e-3) * (1 - true)])
    decades = np.log10(1e-3 * n_pairs / FALSE_PAIRS)
    return float(np.clip(upper + (upper - lower) * decades, LEAST, MOST))
