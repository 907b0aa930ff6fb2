"""The same picture twice: exact and near duplicates, and groups that keep them on one side."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data.audit.likeness import SAMPLED, Music, threshold
from data.examples import Examples
from data.images.fingerprints import Fingerprints

AS_NEAR_AS_EXACT = 0.95  # the same picture, saved by another program
FEW = 4  # groups of a class that duplicates may join, whatever part of the class they are
MOST_JOINED = 0.1  # part of the groups of a class above which joining them is distrusted


Tier = Literal["exact", "near", "similar"]


class Duplicate(NamedTuple):
    """Two positions whose pictures are the same (similarity 1, exact), nearly so, or much alike."""

    first: int
    second: int
    similarity: float
    exact: bool

    @property
    def tier(self) -> Tier:
        """exact: the same pixels; near: one picture, saved twice; similar: to be listened to."""
        if self.exact:
            return "exact"
        return "near" if self.similarity >= AS_NEAR_AS_EXACT else "similar"

    @property
    def is_certain(self) -> bool:
        """Whether the two are the same music beyond doubt."""
        return self.tier != "similar"


@dataclass(frozen=True)
class Duplicates:
    """The pairs of a folder, the most alike first.

    pairs: those that are put into one group; distrusted: nearly equal ones that would join too much
    of a class to be believed; threshold: the similarity from which pictures count as nearly equal,
    None where there were too many to compare.
    """

    pairs: list[Duplicate]
    distrusted: list[Duplicate]
    threshold: float | None


def find_duplicates(prints: Fingerprints, groups: np.ndarray) -> list[Duplicate]:
    """Pairs of different groups that are duplicates, the most alike first; blank ones are none.

    Of k equal pictures the first is paired with each other one. Clips of one group may be alike.
    """
    return _pairs_and_threshold(prints, groups)[0]


def trusted_duplicates(prints: Fingerprints, examples: Examples) -> Duplicates:
    """The duplicates among the examples, less those that would join much of a class.

    Different pieces that look alike do so by the dozen, and a chain of them joins a whole class;
    the same piece is there twice or thrice.
    """
    pairs, limit = _pairs_and_threshold(prints, examples.groups)
    doubtful = [pair for pair in pairs if not pair.is_certain]
    merged = merge_groups(examples.groups, pairs)
    names, sizes = np.unique(
        np.unique(np.stack([merged, examples.groups]), axis=1)[0], return_counts=True
    )
    n_joined = dict(zip(names.tolist(), sizes.tolist(), strict=True))
    n_groups = np.array(
        [
            len(np.unique(examples.groups[examples.of_class(label)]))
            for label in range(len(examples.classes))
        ]
    )

    def is_too_much(pair: Duplicate) -> bool:
        joined = n_joined[str(merged[pair.first])]
        labels = examples.labels[[pair.first, pair.second]]
        own = labels.any(axis=0) if examples.several_labels else labels
        least = n_groups[own].min()
        return joined > max(FEW, MOST_JOINED * least)

    distrusted = {pair for pair in doubtful if is_too_much(pair)}
    kept = [pair for pair in pairs if pair not in distrusted]
    return Duplicates(kept, [pair for pair in pairs if pair in distrusted], limit)


def _pairs_and_threshold(
    prints: Fingerprints, groups: np.ndarray
) -> tuple[list[Duplicate], float | None]:
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
    limit = None
    if len(prints.thumbnails) and distinct:
        near, limit = _near(prints.thumbnails, np.array(distinct, dtype=int), groups)
        found += near
    return sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second)), limit


def _near(
    thumbnails: np.ndarray, distinct: np.ndarray, groups: np.ndarray
) -> tuple[list[Duplicate], float]:
    music = Music.of(thumbnails[distinct])
    n = len(distinct)
    _, group = np.unique(groups[distinct], return_inverse=True)
    some = np.sort(np.random.default_rng(0).permutation(n)[:SAMPLED])
    apart = np.triu(group[some][:, None] != group[some], 1)
    limit = threshold(music.similarities_among(some)[apart], n, max(1, n * (n - 1) // 2))
    found = []
    for first, second in music.candidates():
        apart = group[first] != group[second]
        first, second = first[apart], second[apart]
        alike = music.similarities(first, second)
        found += [
            Duplicate(int(distinct[i]), int(distinct[j]), float(min(1.0, similarity)), False)
            for i, j, similarity in zip(first, second, alike, strict=True)
            if similarity >= limit
        ]
    return found, limit


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


def _pairs_are(n: int) -> str:
    return "1 pair of pictures is" if n == 1 else f"{n} pairs of pictures are"


def duplicate_notes(found: Duplicates, examples: Examples) -> list[str]:
    """Sentences on the duplicates for a reader: how many, and which are in two classes."""
    n_of = Counter(pair.tier for pair in found.pairs)
    notes = []
    if n_of["exact"] or n_of["near"]:
        notes.append(
            f"{_pairs_are(n_of['exact'])} the same and {n_of['near']} nearly so, under different "
            "names"
        )
    if n_of["similar"]:
        first = next(pair for pair in found.pairs if pair.tier == "similar")
        names = f"{examples.paths[first.first]} and {examples.paths[first.second]}"
        notes.append(
            f"{_pairs_are(n_of['similar'])} similar ({found.threshold:.2f} or more), most of all "
            f"{names}: listen to these; they are taken for the same music"
        )
    for pair in found.pairs:
        if (examples.labels[pair.first] != examples.labels[pair.second]).any():
            names = f"{examples.paths[pair.first]} and {examples.paths[pair.second]}"
            notes.append(
                f"{names} are duplicates in two classes: one label is wrong"
                if pair.is_certain
                else f"{names} are in two classes and much alike ({pair.similarity:.2f}): listen "
                "to these"
            )
    if found.distrusted:
        notes.append(
            f"{len(found.distrusted)} more pairs are similar, but would join much of a class into "
            "one group: not believed, and not kept together"
        )
    if found.threshold is None:
        notes.append("near duplicates were not looked for: too many pictures")
    return notes
