"""An image folder to examples: path, label, group."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torchvision.datasets import ImageFolder

from data.image import EXTENSIONS


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


class _ClassFolders(ImageFolder):
    """torchvision's ImageFolder without hidden folders and Python's own `__pycache__`."""

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        names = sorted(
            entry.name
            for entry in Path(directory).iterdir()
            if entry.is_dir() and not entry.name.startswith((".", "__"))
        )
        if not names:
            raise ValueError(_expectation(directory, "no class folders"))
        return names, {name: i for i, name in enumerate(names)}


def scan(root: str | Path, group: str = "group") -> Examples:
    """The examples of `root`/<class>/<picture>; groups from clips.csv, else from the file names.

    group: the column of clips.csv, or "none" for each picture alone. Where `group` itself is not
    filled in, it is what precedes `__` in the file name, else its stem. Raises ValueError when the
    folder or the column is missing, a Python package, or has not two classes with pictures.
    """
    root = Path(root)
    _refuse_what_is_no_image_folder(root)
    folder = _ClassFolders(str(root), allow_empty=True, is_valid_file=_is_picture)
    samples = [(Path(path).relative_to(root), label) for path, label in folder.samples]
    samples = [(path, label) for path, label in samples if not _is_hidden(path)]
    filled = sorted({label for _, label in samples})
    if len(filled) < 2:
        found = (
            "no pictures" if not filled else f"pictures of one class, {folder.classes[filled[0]]}"
        )
        raise ValueError(_expectation(root, found))
    relative = np.array([path.as_posix() for path, _ in samples])
    order = np.argsort(relative)
    paths = relative[order]
    labels = np.searchsorted(filled, np.array([label for _, label in samples]))[order]
    groups, recordings, augmented = _provenance(root, paths, group)
    classes = tuple(folder.classes[label] for label in filled)
    return Examples(root, classes, paths, labels.astype(np.int64), groups, recordings, augmented)


def _expectation(root: str | Path, found: str) -> str:
    return (
        f"{root} has {found}; expected {root}/<class>/<picture> with {' '.join(EXTENSIONS)} "
        "files in at least two class folders"
    )


def _is_picture(path: str) -> bool:
    return path.lower().endswith(EXTENSIONS)


def _is_hidden(relative: Path) -> bool:
    """Whether a part of the path is hidden: macOS's `._x.png`, a notebook's checkpoint copies."""
    return any(part.startswith(".") for part in relative.parts)


def _refuse_what_is_no_image_folder(root: Path) -> None:
    if not root.is_dir():
        raise ValueError(
            f"no image folder at {root}; expected {root}/<class>/<picture>, one folder per class"
        )
    if (root / "__init__.py").exists():
        raise ValueError(
            f"{root} is a Python package, not an image folder; put images in spectrograms/<class>/"
        )


def _provenance(
    root: Path, paths: np.ndarray, group: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group, recording and augmented of each path: from the clip table, else from its name."""
    table = read_clip_table(root)
    names = [Path(path).stem.split("__")[0] for path in paths]

    def column(key: str, default: Callable[[int], str]) -> np.ndarray:
        return np.array(
            [table.get(path, {}).get(key) or default(i) for i, path in enumerate(paths)], dtype=str
        )

    # One name in two classes may be one song or two: one group keeps the split honest in both
    # cases; two recordings keep their answers apart.
    recordings = column("recording", lambda i: f"{Path(paths[i]).parent.as_posix()}/{names[i]}")
    if group == "none":
        groups = paths
    else:
        columns = list(next(iter(table.values()), {}))
        if group != "group" and group not in columns:
            raise ValueError(
                f"--group {group}: {root}/clips.csv has no such column; it has "
                f"{', '.join(columns) or 'no rows or is missing'}"
            )
        groups = column(group, lambda i: names[i])
    return groups, recordings, column("augmentation", lambda i: "") != ""


def read_clip_table(root: Path) -> dict[str, dict[str, str]]:
    """Rows of `root`/clips.csv by their path; empty when there is no table."""
    table = root / "clips.csv"
    if not table.exists():
        return {}
    with table.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write the mark
        reader = csv.DictReader(file)
        if "path" not in (reader.fieldnames or ()):
            raise ValueError(f"{table} has no column `path`; expected the table render writes")
        return {row["path"]: row for row in reader}
