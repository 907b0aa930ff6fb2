"""The files beside the pictures: clips.csv, one row for each picture, and render.json."""

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from common.files import LEFTOVER, open_csv, write_text
from render.audio.clips import ClipSettings
from render.settings import RenderSettings

LOCK = ".render.lock"
COLUMNS: tuple[str, ...] = ("path", "label", "recording", "clip", "start_s", "end_s", "group")
COLUMNS += ("augmentation", "source", "silent", "clipped", "filled")
OPTIONAL = ("split", "labels")  # columns that are there if they are filled in


@dataclass(frozen=True)
class ClipRow:
    """A picture's row of clips.csv. start_s and end_s are in seconds; see COLUMNS for the order.

    path: <label>/<name>.png below the folder. silent, clipped: the sound is. filled: "repeated" or
    "padded" if the recording was shorter than a clip. split: the collection's own, if it was kept.
    labels: all of the recording's, `rock;jazz`, where there may be several.
    """

    path: str
    label: str
    recording: str
    clip: int
    start_s: float
    end_s: float
    group: str
    augmentation: str
    source: str
    silent: bool
    clipped: bool
    filled: str
    split: str = ""
    labels: str = ""

    def to_dict(self) -> dict[str, str | int]:
        """The cells of the row, as clips.csv and the journal have them."""
        cells: dict[str, str | int] = {name: getattr(self, name) for name in COLUMNS}
        cells |= {name: f"{cells[name]:.3f}" for name in ("start_s", "end_s")}
        cells |= {name: "yes" if cells[name] else "" for name in ("silent", "clipped")}
        return cells | {name: value for name in OPTIONAL if (value := getattr(self, name))}

    @classmethod
    def from_dict(cls, cells: dict[str, Any]) -> "ClipRow":
        """The row of these cells. Raises ValueError when its path leaves the folder."""
        names = (*COLUMNS, *OPTIONAL)
        values = {name: str(cells[name]) for name in names if name in cells}
        parts = values["path"].split("/")  # pathlib would keep every name in Python's own memory
        if len(parts) != 2 or not all(map(is_plain, parts)) or not parts[1].endswith(".png"):
            raise ValueError(f"path={values['path']} must be <label>/<name>.png below the folder")
        typed: dict[str, Any] = values | {"clip": int(values["clip"])}
        typed |= {name: float(values[name]) for name in ("start_s", "end_s")}
        typed |= {name: bool(values[name]) for name in ("silent", "clipped")}
        return cls(**typed)


def is_plain(name: str) -> bool:
    """Is `name` one part of a path, so that it names something directly in its folder?"""
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\\0")


def read_rows(file: Path, required: Iterable[str] = ()) -> list[dict[str, str]]:
    """The rows of a table. Raises ValueError when it is missing, no CSV or lacks a column."""
    with open_csv(file) as text:
        reader = csv.DictReader(text, restval="")
        missing = sorted(set(required) - set(reader.fieldnames or ()))
        if missing:
            raise ValueError(f"{file} has no column {' and '.join(missing)}")
        return [{name: cell for name, cell in row.items() if name is not None} for row in reader]


def remove_leftovers(out: Path) -> None:
    """Remove the temporary files of a killed run."""
    for pattern in (".*.part", "*/.*.part"):
        for path in out.glob(pattern):
            if LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)


def remove_empty_folders(out: Path, labels: Iterable[str]) -> None:
    """Remove the folders of these classes that hold nothing."""
    for label in labels:
        with suppress(OSError):  # it is not empty, or not there
            (out / label).rmdir()


def read_settings(out: Path) -> tuple[RenderSettings, ClipSettings]:
    """The settings in render.json. Raises ValueError naming the file when it is not one of ours."""
    path = out / "render.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or not isinstance(values.get("clips", {}), dict):
            raise ValueError("it is not a table of settings")
        return RenderSettings.from_dict(values), ClipSettings.from_dict(values.get("clips", {}))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


@contextmanager
def sole_use(out: Path) -> Iterator[None]:
    """Keep other renders out of the folder, which is made if need be, until the block ends.

    The lock is the system's: it ends with the process, however that ends. Raises ValueError when
    another process has it, or the folder holds pictures that we did not make.
    """
    if not (out / "render.json").is_file() and next(out.glob("*/*.png"), None) is not None:
        raise ValueError(f"{out} holds pictures but no render.json; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"{out} is in use by another render; wait for its end, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def settle(out: Path, settings: RenderSettings, clip_settings: ClipSettings) -> None:
    """Write render.json, or compare it with the one there.

    Raises ValueError with the differences when the folder was made with other settings.
    """
    path = out / "render.json"
    if path.is_file():
        old, new = (_flat(*pair) for pair in (read_settings(out), (settings, clip_settings)))
        changed = [f"{name} {old[name]} -> {new[name]}" for name in new if old[name] != new[name]]
        if changed:
            raise ValueError(
                f"{out} was made with other settings ({'; '.join(sorted(changed))}). "
                "Choose another --out, or delete that folder"
            )
        return
    values = settings.to_dict() | {"clips": clip_settings.to_dict()}
    write_text(path, json.dumps(values, indent=2) + "\n")


def _flat(settings: RenderSettings, clip_settings: ClipSettings) -> dict[str, Any]:
    clips = {f"clips.{name}": value for name, value in clip_settings.to_dict().items()}
    return settings.to_dict() | clips
