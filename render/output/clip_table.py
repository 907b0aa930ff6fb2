"""The files beside the pictures: clips.csv, failures.csv and render.json.

Every file is written under a temporary name and moved into place, so it is whole or not there.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from render.audio.clips import ClipSettings
from render.settings import RenderSettings

COLUMNS: tuple[str, ...] = ("path", "label", "recording", "clip", "start_s", "end_s", "group")
COLUMNS += ("augmentation", "source", "silent", "clipped", "filled")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to under a temporary name beside `path`; it is moved there at the end."""
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is whole or not there."""
    with whole_file(path) as file:
        file.write(content)


def remove_leftovers(out: Path) -> None:
    """Remove a killed run's temporary files, and class folders without a picture."""
    for pattern in (".*.tmp", "*/.*.tmp"):
        for path in out.glob(pattern):
            path.unlink(missing_ok=True)
    for folder in out.iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write rows, one at a time, as UTF-8 CSV with "\\n" line ends."""
    with whole_file(path) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table. Raises ValueError when it is not there."""
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def settle(out: Path, settings: RenderSettings, clips: ClipSettings) -> None:
    """Write render.json, or compare it with the one there.

    Raises ValueError with the differences when the folder was made with other settings, or holds
    pictures that we did not make.
    """
    path = out / "render.json"
    new = settings.to_dict() | {"clips": clips.to_dict()}
    if path.is_file():
        # what an older program did not know was as it is by default
        old = RenderSettings().to_dict() | json.loads(path.read_text(encoding="utf-8"))
        flat_old, flat_new = _flat(old), _flat(new)
        changed = [
            f"{name} {flat_old.get(name)} -> {flat_new.get(name)}"
            for name in sorted(flat_old | flat_new)
            if flat_old.get(name) != flat_new.get(name)
        ]
        if changed:
            raise ValueError(
                f"{out} was made with other settings ({'; '.join(changed)}). "
                "Choose another --out, or delete that folder"
            )
        return
    if next(out.glob("*/*.png"), None) is not None:
        raise ValueError(f"{out} holds pictures but no render.json; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(new, indent=2) + "\n").encode())


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    nested = {f"clips.{name}": value for name, value in values.get("clips", {}).items()}
    return {name: value for name, value in values.items() if name != "clips"} | nested
