"""Classes that can be told apart without listening: by file format, border, colours, brightness."""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedGroupKFold

from common.intervals import wilson_interval
from data.audit.appearance import NO_COLOUR, Appearance

# A class is reported when it is recognised that much more often than others are taken for it.
# Measured on three clean collections, music itself gets up to 0.77 from brightness alone.
FAR_BEYOND_CHANCE = 0.92
LEAST_SURE = 0.7  # and its recall must be at least this with 97.5 % confidence
N_FOLDS = 5
N_TREES = 30
MOST_PICTURES = 3000


@dataclass(frozen=True)
class Shortcut:
    """One thing about the files, how well it alone tells the classes, and which it gives away.

    accuracy: mean recall of the classes in cross-validation, chance 1 / C; classes: {name:
    (recall, share of the other classes' pictures that are taken for it)} of those given away.
    """

    cue: str
    accuracy: float
    classes: dict[str, tuple[float, float]]


def cues_of(appearances: list[Appearance]) -> dict[str, np.ndarray]:
    """Features float (n, k) of each cue; none of them looks at the inside of the pictures."""
    formats = sorted({(one.file_format, one.mode) for one in appearances})
    is_format = [[(one.file_format, one.mode) == pair for pair in formats] for one in appearances]
    sizes = [[one.width, one.height] for one in appearances]
    n_bytes = [[one.n_bytes, one.n_bytes / (one.width * one.height)] for one in appearances]
    return {
        "file format": np.array(is_format, dtype=float),
        "picture size": np.array(sizes, dtype=float),
        "outermost rows and columns": np.array([one.edges for one in appearances]),
        "colours": _off_colours(np.array([one.colours for one in appearances])),
        "brightness": np.array([one.brightness for one in appearances]),
        "file size": np.array(n_bytes),
    }


def _off_colours(tables: np.ndarray) -> np.ndarray:
    """How far each picture's colours (n, 512) are from the folder's usual ones: float (n, 4).

    Only grey levels that a picture has are compared, so that which levels those are, the music, is
    not seen: the mean and the largest deviation of R-G and of G-B.
    """
    present = tables != NO_COLOUR
    values = np.where(present, tables, np.nan).astype(float)
    usual = np.zeros(tables.shape[1])
    seen = present.any(axis=0)
    usual[seen] = np.nanmedian(values[:, seen], axis=0)
    off = np.where(present, tables - usual, 0.0).reshape(len(tables), 2, -1)
    n = np.maximum(present.reshape(off.shape).sum(axis=2), 1)
    return np.hstack([off.sum(axis=2) / n, np.abs(off).sum(axis=2) / n])


def find_shortcuts(
    appearances: list[Appearance], labels: np.ndarray, groups: np.ndarray, classes: tuple[str, ...]
) -> list[Shortcut]:
    """Every cue with how far it goes, among the classes that have groups enough to cross-validate.

    labels int (n,), groups str (n,). Above 3000 pictures a random part of them is judged.
    """
    if len(labels) > MOST_PICTURES:
        some = np.sort(np.random.default_rng(0).permutation(len(labels))[:MOST_PICTURES])
        appearances, labels, groups = [appearances[i] for i in some], labels[some], groups[some]
    n_groups = {label: len(np.unique(groups[labels == label])) for label in np.unique(labels)}
    enough = [label for label, n in n_groups.items() if n > 1]
    if len(enough) < 2:
        return []
    some = np.flatnonzero(np.isin(labels, enough))
    appearances, labels, groups = [appearances[i] for i in some], labels[some], groups[some]
    n_folds = min(N_FOLDS, *(n_groups[label] for label in enough))
    return [
        _judge(cue, features, labels, groups, classes, n_folds)
        for cue, features in cues_of(appearances).items()
    ]


def _judge(
    cue: str,
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    classes: tuple[str, ...],
    n_folds: int,
) -> Shortcut:
    if len(np.unique(features, axis=0)) == 1:  # all alike: nothing can be told
        return Shortcut(cue, 1 / len(np.unique(labels)), {})
    recall, taken = _cross_validate(features, labels, groups, n_folds)
    accuracy = float(np.mean(list(recall.values())))
    given_away: dict[str, tuple[float, float]] = {}
    left = np.ones(len(labels), dtype=bool)
    # One class at a time: what is left when a marked class is known must not be blamed as well.
    while len(np.unique(labels[left])) > 1:
        best = max(recall, key=lambda label: recall[label] - taken[label])
        if recall[best] - taken[best] < FAR_BEYOND_CHANCE:
            break
        if wilson_interval(recall[best], int((labels == best).sum()))[0] < LEAST_SURE:
            break
        given_away[classes[best]] = (recall[best], taken[best])
        left &= labels != best
        if len(np.unique(labels[left])) > 1:
            recall, taken = _cross_validate(features[left], labels[left], groups[left], n_folds)
    return Shortcut(cue, accuracy, given_away)


def _cross_validate(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, n_folds: int
) -> tuple[dict[int, float], dict[int, float]]:
    """({label: recall}, {label: share of the others taken for it}) of held-out pictures."""
    predicted = np.empty_like(labels)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    for train, held_out in splitter.split(features, labels, groups):
        forest = RandomForestClassifier(
            N_TREES, min_samples_leaf=2, class_weight="balanced", random_state=0
        )
        predicted[held_out] = forest.fit(features[train], labels[train]).predict(features[held_out])
    names = np.unique(labels)
    counts = confusion_matrix(labels, predicted, labels=names)
    right, own, said = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    taken = (said - right) / (counts.sum() - own)
    return (
        {int(label): float(right[i] / own[i]) for i, label in enumerate(names)},
        {int(label): float(taken[i]) for i, label in enumerate(names)},
    )


def shortcut_notes(shortcuts: list[Shortcut]) -> list[str]:
    """One sentence for each class that a cue gives away."""
    return [
        f"shortcut: {name} is recognised by {shortcut.cue} alone: {recall:.0%} of its pictures, "
        f"and {taken:.0%} of the others are taken for it"
        for shortcut in shortcuts
        for name, (recall, taken) in shortcut.classes.items()
    ]
