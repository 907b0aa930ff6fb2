"""What there is to learn from: the pictures of a folder or the rows of a table."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from common.recordings import SEPARATOR


@dataclass(frozen=True)
class Examples:
    """All pictures of an image folder, sorted by path.

    paths: str (n,), relative to root, with "/"; labels: int64 (n,) into `classes`, or where songs
    may have several labels float32 (n, C), 1 for each that one has and 0 for the others; groups and
    recordings: str (n,); augmented: bool (n,), clips that only training may see; left_out:
    {path: why a picture of the folder is none of them}; corrected: bool (n,), of recordings that
    somebody corrected, which lie elsewhere; None where there are none; parts: "train",
    "validation" or "test", str (n,), where the folder brings a split; notes: what whoever reads
    figures must know of groups and parts, in sentences.
    """

    root: Path
    classes: tuple[str, ...]
    paths: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    recordings: np.ndarray
    augmented: np.ndarray
    left_out: dict[str, str] = field(default_factory=dict)
    corrected: np.ndarray | None = None
    parts: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def files(self) -> list[Path]:
        """The picture files, in order."""
        return [self.root / path for path in self.paths]

    def take(self, keep: np.ndarray) -> "Examples":
        """The examples at the positions or under the mask `keep`; the classes stay."""
        return replace(
            self,
            paths=self.paths[keep],
            labels=self.labels[keep],
            groups=self.groups[keep],
            recordings=self.recordings[keep],
            augmented=self.augmented[keep],
            corrected=None if self.corrected is None else self.corrected[keep],
            parts=None if self.parts is None else self.parts[keep],
        )

    @property
    def several_labels(self) -> bool:
        """Whether an example may have several labels."""
        return self.labels.ndim == 2

    def of_class(self, label: int) -> np.ndarray:
        """Whether each example has the label, bool (n,)."""
        has: np.ndarray = self.labels[:, label] > 0 if self.several_labels else self.labels == label
        return has

    def label_names(self) -> list[str]:
        """The label of each example, or all of its labels, `jazz;rock`."""
        return label_names(self.labels, self.classes)

    @property
    def is_corrected(self) -> np.ndarray:
        """`corrected`, bool (n,) in any case."""
        return np.zeros(len(self), dtype=bool) if self.corrected is None else self.corrected

    def groups_in_several_classes(self) -> list[str]:
        """Names of the groups that have examples of more than one class, sorted.

        None where every song may be of several.
        """
        if self.several_labels:
            return []
        labels: dict[str, set[int]] = {}
        for group, label in zip(self.groups.tolist(), self.labels.tolist(), strict=True):
            labels.setdefault(group, set()).add(label)
        return sorted(group for group, several in labels.items() if len(several) > 1)


def label_names(labels: np.ndarray, classes: tuple[str, ...]) -> list[str]:
    """The names of labels int (n,), or of all that are set in (n, C): `jazz;rock`."""
    if labels.ndim == 1:
        return [classes[label] for label in labels]
    return [SEPARATOR.join(classes[i] for i in np.flatnonzero(row)) for row in labels]


def majority_of(labels: np.ndarray) -> int | np.ndarray:
    """What most examples are labelled: a class, or of several labels the commonest row (C,)."""
    if labels.ndim == 1:
        return int(np.bincount(labels).argmax())
    rows, counts = np.unique(labels, axis=0, return_counts=True)
    return rows[counts.argmax()]
