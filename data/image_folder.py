"""An image folder to examples: path, label, group."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from common.files import near, open_csv
from common.recordings import (
    OTHER_PICTURES,
    PARTS,
    PICTURES,
    SOUNDS,
    classes_further_down,
    folders_in,
    recording_of,
    song_groups,
    split_folders,
    split_labels,
)
from common.text import printable
from data.examples import Examples

_Listing = tuple[list[str], list[tuple[str, int]]]  # classes, (path, label) of each picture
_Read = Callable[[Path], _Listing]


def _class_names(root: Path) -> list[str]:
    """The class folders in `root`, without hidden ones and Python's own `__pycache__`."""
    names = folders_in(root)
    if not names:
        raise ValueError(_expectation(root, "no class folders"))
    for name in names:
        if not _is_utf_8(name):
            raise ValueError(f"the name of a class in {root}, {name}, is not UTF-8: rename it")
    return names


def _listed(root: Path) -> _Listing:
    """(classes, (path, label) of each picture), as `_image_folder` has them, without torch."""
    names = _class_names(root)
    return names, _labelled(root, {name: label for label, name in enumerate(names)})


def _image_folder(root: Path) -> _Listing:
    """(classes, (path, label) of each picture) of torchvision's ImageFolder."""
    from torchvision.datasets import ImageFolder  # here: torch takes seconds to import

    class ClassFolders(ImageFolder):
        """Without hidden files and folders, and listed in a third of the time."""

        def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
            names = _class_names(Path(directory))
            return names, {name: label for label, name in enumerate(names)}

        @staticmethod
        def make_dataset(
            directory: str | Path, class_to_idx: dict[str, int], *_: object, **__: object
        ) -> list[tuple[str, int]]:
            return _labelled(directory, class_to_idx)

    folder = ClassFolders(str(root), allow_empty=True)
    return folder.classes, folder.samples


def _labelled(root: str | Path, class_to_idx: dict[str, int]) -> list[tuple[str, int]]:
    """Paths are not joined and split: of a million this takes longer than listing them."""
    return [
        (path, label)
        for name, label in class_to_idx.items()
        for path in _pictures_below(f"{root}/{name}", PICTURES + OTHER_PICTURES)
    ]


def _pictures_below(folder: str, types: tuple[str, ...] = PICTURES) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name, path = entry.name, f"{folder}/{entry.name}"
            if name.startswith("."):  # macOS's `._x.png`, a notebook's checkpoint copies
                continue
            if not _is_folder(entry):
                if name.lower().endswith(types):
                    yield path
            elif not (entry.is_symlink() and _is_inside(folder, path)):
                yield from _pictures_below(path, types)


def _is_utf_8(name: str) -> bool:
    """Whether the name can be written into a table: Linux allows names of any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_inside(folder: str, link: str) -> bool:
    """Whether the link leads to a folder that `folder` is in: it would be walked for ever."""
    return Path(folder).resolve().is_relative_to(Path(link).resolve())


def check_image_folder(root: Path) -> None:
    """Raise ValueError if there is no such folder, or if it is a Python package."""
    if not root.is_dir():
        raise ValueError(
            f"no image folder at {root}; expected {root}/<class>/<picture>, one folder per class"
            f"{near(root)}"
        )
    if (root / "__init__.py").exists():
        raise ValueError(
            f"{root} is a Python package, not an image folder; put images in spectrograms/<class>/"
        )


def scan(root: str | Path, group: str = "group", *, torch: bool = True) -> Examples:
    """The examples of `root`/<class>/<picture>; groups from clips.csv, else from the file names.

    group: the column of clips.csv, or "none" for each picture alone. Where `group` itself is not
    filled in, it is what precedes the last `__` in the file name, else its stem, unless names only
    count or folders are songs (`song_groups`), which a note says. Where the table has a column
    `labels`, `rock;jazz`, that names the classes, and the folders are folders. Where the folders
    are parts of a split, `train/<class>/<picture>`, the classes are in them. torch: whether
    torchvision's ImageFolder is asked; the same are found without it, and sooner. Raises ValueError
    when the folder or the column is missing, it is a Python package, or fewer than two classes have
    pictures.
    """
    root = Path(root)
    check_image_folder(root)
    table = _ClipTable.read(root, group)
    if table.labels:
        return _several_labels(root, table)
    own_parts = split_folders(root)
    read = _image_folder if torch else _listed
    names, listed = _in_parts(root, own_parts, read) if own_parts else read(root)
    cut = len(str(root)) + 1
    found = [(path[cut:], label) for path, label in listed if path.lower().endswith(PICTURES)]
    unread = _of_other_types([path for path, _ in listed]) if len(found) < len(listed) else ""
    left_out = _unwritable(root, [path for path, _ in found])
    samples = [(path, label) for path, label in found if path not in left_out]
    paths = np.array([path for path, _ in samples], dtype=str)
    labels = np.array([label for _, label in samples], dtype=np.int64)
    filled = np.unique(labels)
    if len(filled) < 2:
        name = names[filled[0]] if len(filled) else ""
        further = classes_further_down(root, name) if name else ""
        one = f"pictures of one class, {name}" if name else "no pictures"
        raise ValueError(
            _expectation(root, one) + printable(further) + f"; {unread}" * bool(unread)
        )
    order = np.argsort(paths, kind="stable")  # quick where they are nearly in order
    paths, labels = paths[order], np.searchsorted(filled, labels[order])
    classes = tuple(names[label] for label in filled)
    examples = _examples(root, classes, paths, labels, table, left_out, own_parts)
    return replace(examples, notes=(*examples.notes, unread)) if unread else examples


def _of_other_types(paths: list[str]) -> str:
    """How many of the paths are pictures that are not read, in a sentence."""
    suffixes = Counter(f".{path.rpartition('.')[2].lower()}" for path in paths)
    others = {suffix: n for suffix, n in suffixes.most_common() if suffix not in PICTURES}
    named = ", ".join(f"{n} {suffix}" for suffix, n in others.items())
    return f"pictures of these types are not read: {named}; save them as PNG"


def _in_parts(root: Path, own_parts: dict[str, str], read: _Read) -> _Listing:
    """The classes in all parts of a split, and the pictures of each."""
    found = [read(root / folder) for folder, part in own_parts.items() if part]
    names = sorted({name for classes, _ in found for name in classes})
    return names, [
        (path, names.index(classes[label])) for classes, listed in found for path, label in listed
    ]


def _several_labels(root: Path, table: "_ClipTable") -> Examples:
    """The examples of the pictures below `root`, each with the labels that the table gives it."""
    cut = len(str(root)) + 1
    found = sorted(path[cut:] for path in _pictures_below(str(root)))
    left_out = _unwritable(root, found) | {
        path: f"{root}/{path}: {root}/clips.csv gives it no labels"
        for path in found
        if not table.labels.get(path)
    }
    paths = [path for path in found if path not in left_out]
    classes = tuple(sorted({name for path in paths for name in table.labels[path]}))
    if len(classes) < 2:
        raise ValueError(
            f"{root}/clips.csv gives the pictures {len(classes)} labels in its column `labels`; "
            "expected two at least, as rock;jazz"
        )
    label_of = {name: i for i, name in enumerate(classes)}
    labels = np.zeros((len(paths), len(classes)), np.float32)
    for row, path in zip(labels, paths, strict=True):
        row[[label_of[name] for name in table.labels[path]]] = 1
    return _examples(root, classes, np.array(paths, dtype=str), labels, table, left_out)


def _examples(
    root: Path,
    classes: tuple[str, ...],
    paths: np.ndarray,
    labels: np.ndarray,
    table: "_ClipTable",
    left_out: dict[str, str],
    folders: Mapping[str, str] = MappingProxyType({}),
) -> Examples:
    """The examples with what table and names tell of their provenance; folders: those of parts."""
    known = table.provenance(paths, folders)
    notes, parts, fault = list(known.notes), table.parts(paths, folders), ""
    if parts is not None:
        fault = _fault_of(parts, labels, known.groups, classes)
        *others, last = [name for name, part in folders.items() if part] or ["", ""]
        whose = f"the folders {', '.join(others)} and {last}" if last else "clips.csv"
        notes.append(
            f"the parts of the split are those of {whose}"
            if not fault
            else f"the split is a new one, and not that of {whose}: {fault}"
        )
    notes += [
        f"{root}/{folder} has no class folders: it takes no part"
        for folder, part in folders.items()
        if not part
    ]
    return Examples(
        root,
        classes,
        paths,
        labels,
        known.groups,
        known.recordings,
        known.augmented,
        left_out,
        parts=None if fault else parts,
        notes=tuple(notes),
    )


def _fault_of(
    parts: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: tuple[str, ...]
) -> str:
    """Why nobody should train on a split of parts str (n,); "" for a good one."""
    if "train" not in parts or len(set(parts)) == 1:
        return f"it has only {' and '.join(sorted(set(parts)))}"
    if labels.ndim == 1 and len(untrained := set(labels) - set(labels[parts == "train"])):
        return f"class {classes[min(untrained)]} is not in its training part"
    first: dict[str, str] = {}
    pairs = zip(groups.tolist(), parts.tolist(), strict=True)
    both = {group for group, part in pairs if first.setdefault(group, part) != part}
    if both:
        return (
            f"{len(both)} groups ({min(both)}) are in several of its parts, which is a leak; "
            "--group none takes it as it is"
        )
    return ""


def _unwritable(root: Path, paths: list[str]) -> dict[str, str]:
    """{path: why no table can name it}, nearly always empty."""
    if _is_utf_8("".join(paths)):
        return {}
    return {
        path: f"{printable(f'{root}/{path}')}: its name is not UTF-8; rename it"
        for path in paths
        if not _is_utf_8(path)
    }


def _expectation(root: str | Path, found: str) -> str:
    if n := sum(name.lower().endswith(tuple(SOUNDS)) for name in _names_below(root)):
        return (
            f"{root} has {found} but {n} recordings: python main.py {root} draws them as pictures "
            f"and trains on these, python -m render {root} only draws them"
        )
    root = Path(root)
    way_out = ""
    if _has_pictures(root):
        way_out = "; move each of the pictures in it into a folder of its class"
        if sum(map(_has_pictures, root.absolute().parent.iterdir())) > 1:
            way_out = f"; it is one class of those in {root.absolute().parent}: give that"
    return (
        f"{root} has {found}; expected {root}/<class>/<picture> with {' '.join(PICTURES)} "
        f"files in at least two class folders{way_out}"
    )


def _has_pictures(folder: Path) -> bool:
    """Whether it is a folder that can be read and pictures lie in it itself."""
    try:
        return any(path.name.lower().endswith(PICTURES) for path in folder.iterdir())
    except OSError:  # a file, or a folder of someone else's
        return False


def _names_below(root: str | Path) -> Iterator[str]:
    for _, _, names in os.walk(root):
        yield from names


@dataclass(frozen=True)
class _Provenance:
    """Groups and recordings str (n,), augmented bool (n,), and what is to be said of the groups."""

    groups: np.ndarray
    recordings: np.ndarray
    augmented: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _ClipTable:
    """What clips.csv says of each path; nothing where there is none.

    group: the column that was asked for, "none" for each picture alone; cells: (group, recording,
    augmentation, split) of each path; labels: where the column is filled in.
    """

    group: str
    cells: dict[str, tuple[str, ...]]
    labels: dict[str, tuple[str, ...]]

    @classmethod
    def read(cls, root: Path, group: str) -> "_ClipTable":
        """The table of `root`; ValueError if it lacks the column."""
        columns, cells, labels = list[str](), {}, {}
        names = (group, "recording", "augmentation", "split")
        for row in _clip_rows(root):
            columns = columns or list(row)
            cells[row["path"]] = tuple(row.get(name) or "" for name in names)
            if cell := row.get("labels"):
                labels[row["path"]] = split_labels(cell)
        if group not in (*columns, "group", "none"):
            raise ValueError(
                f"--group {group}: {root}/clips.csv has no such column; it has "
                f"{', '.join(columns) or 'no rows or is missing'}"
            )
        return cls(group, cells, labels)

    def parts(self, paths: np.ndarray, folders: Mapping[str, str]) -> np.ndarray | None:
        """Part of each path in a split by folders {folder: part} or the table's; None without."""
        if folders:
            return np.array([folders[path.partition("/")[0]] for path in paths.tolist()])
        if not self.cells or not any(cells[3] for cells in self.cells.values()):
            return None
        said = [self.cells.get(path, ("",) * 4)[3].strip().lower() for path in paths.tolist()]
        found = [PARTS.get(name, "") for name in said]
        return np.array(found) if all(found) else None

    def provenance(self, paths: np.ndarray, folders: Mapping[str, str]) -> _Provenance:
        """Group, recording and augmented of each path: from the table, else from its name.

        folders: those that are parts of a split, with classes in them.
        """
        # Plain strings and no Path: of a million pictures each of these takes a second.
        known = [self.cells.get(path, ("",) * 4) for path in paths.tolist()]
        own = [recording_of(path) for path in paths.tolist()]
        recordings = [named or name for (_, named, *_), name in zip(known, own, strict=True)]
        augmented = np.array([augmentation != "" for _, _, augmentation, _ in known])
        if self.group == "none":
            return _Provenance(paths, np.array(recordings), augmented)
        groups = [named for named, *_ in known]
        unnamed = [i for i, named in enumerate(groups) if not named]
        of_part = [own[i].partition("/") for i in unnamed] if folders else []
        songs = song_groups(
            [name for *_, name in of_part] or [own[i] for i in unnamed],
            [folder for folder, *_ in of_part],
        )
        for i, group in zip(unnamed, songs.groups, strict=True):
            groups[i] = group
        notes = tuple(f"{note} in clips.csv (columns path and group)" for note in songs.notes)
        return _Provenance(np.array(groups), np.array(recordings), augmented, notes)


def read_clip_table(root: Path) -> dict[str, dict[str, str]]:
    """Rows of `root`/clips.csv by their path; empty when there is no table."""
    return {row["path"]: row for row in _clip_rows(root)}


def _clip_rows(root: Path) -> Iterator[dict[str, str]]:
    table = root / "clips.csv"
    if not table.exists():
        return
    with open_csv(table) as file:
        reader = csv.DictReader(file)
        if "path" not in (reader.fieldnames or ()):
            raise ValueError(f"{table} has no column `path`; expected the table render writes")
        yield from reader
