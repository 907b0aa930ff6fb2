"""Which part of the split each example of a run was in: runs on unlike ones are not compared."""

from dataclasses import dataclass, replace
from pathlib import Path

from common.files import read_rows
from common.recordings import recording_of

COLUMNS = ("path", "label", "group", "split", "predicted")  # of predictions.csv, before the classes
FILES = ("predictions.csv", "metrics.json", "model.pth")  # of a run that can be compared


@dataclass(frozen=True)
class RunSplit:
    """The split of a run, and its classes.

    part: {path: "test" or the fold that held it out}; groups: {path: its group}.
    """

    name: str
    classes: tuple[str, ...]
    part: dict[str, str]
    groups: dict[str, str]

    def of_recordings(self) -> "RunSplit":
        """The same of whole recordings: what names of pictures and table rows have in common."""
        part = {recording_of(path): value for path, value in self.part.items()}
        groups = {recording_of(path): group for path, group in self.groups.items()}
        return replace(self, part=part, groups=groups)


def read_run_split(folder: Path) -> RunSplit:
    """The split of the run in `folder`; ValueError if that is not a finished run."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} is no finished run: it has no {', '.join(missing)}")
    file = folder / FILES[0]
    header, rows = read_rows(file)
    if tuple(header[: len(COLUMNS)]) != COLUMNS:
        raise ValueError(f"{file} does not begin with the columns {','.join(COLUMNS)}")
    part = {path: split for path, _, _, split, *_ in rows}
    groups = {path: group for path, _, group, *_ in rows}
    return RunSplit(folder.name, tuple(header[len(COLUMNS) :]), part, groups)


def nothing_shared(splits: list[RunSplit]) -> bool:
    """Whether no example is in all of them: pictures of some, rows of a table of others."""
    return not set.intersection(*(set(split.part) for split in splits))


def check_same_split(splits: list[RunSplit]) -> None:
    """Raise ValueError that names the groups which are not in the same part of every split.

    So it does for runs of other classes.
    """
    if nothing_shared(splits):
        splits = [split.of_recordings() for split in splits]
    first = splits[0]
    for other in splits[1:]:
        if other.classes != first.classes:
            raise ValueError(
                f"{other.name} has the classes {', '.join(other.classes)}, {first.name} "
                f"{', '.join(first.classes)}: they cannot be compared"
            )
        paths = first.part.keys() | other.part.keys()
        unlike = [path for path in paths if first.part.get(path) != other.part.get(path)]
        if unlike:
            groups = sorted({(first.groups | other.groups)[path] for path in unlike})
            named = ", ".join(groups[:5]) + (", ..." if len(groups) > 5 else "")
            raise ValueError(
                f"{first.name} and {other.name} have different splits: {len(groups)} groups are "
                f"not in the same part ({named}); train one with --split of the other's split.csv"
            )
