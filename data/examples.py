"""What there is to learn from: the pictures of a folder or the rows of a table."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Examples:
    """All pictures of an image folder, sorted by path.

    paths: str (n,), relative to root, with "/"; labels: int64 (n,) into `classes`; groups and
    recordings: str (n,); augmented: bool (n,), clips that only training may see.
    """

    root: Path
    classes: tuple[str, ...]
    paths: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    recordings: np.ndarray
    augmented: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def files(self) -> list[Path]:
        """The picture files, in order."""
        return [self.root / path for path in self.paths]

    def take(self, keep: np.ndarray) -> "Examples":
        """The examples at the positions or under the mask `keep`; the classes stay."""
        columns = (self.paths, self.labels, self.groups, self.recordings, self.augmented)
        return Examples(self.root, self.classes, *(column[keep] for column in columns))

    def groups_in_several_classes(self) -> list[str]:
        """Names of the groups that have examples of more than one class, sorted."""
        labels: dict[str, set[int]] = {}
        for group, label in zip(self.groups.tolist(), self.labels.tolist(), strict=True):
            labels.setdefault(group, set()).add(label)
        return sorted(group for group, several in labels.items() if len(several) > 1)
