"""What the inputs of a command stand for: files, folders, patterns, and standard input."""

import glob
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.images.read import list_pictures

STDIN = "-"


def expand(inputs: list[str]) -> list[str]:
    """The files that files, folders (searched through) and glob patterns stand for.

    A folder with recordings stands for these alone: pictures beside them are covers. A file named
    directly is kept whatever it is, so that a wrong one is named and not passed over. Raises
    ValueError when a folder or pattern holds nothing.
    """
    files: list[str] = []
    for name in inputs:
        if Path(name).is_dir():
            found = _of_folder(Path(name))
        elif not Path(name).exists() and glob.has_magic(name):
            found = sorted(glob.glob(name, recursive=True))
        else:
            found = [name]
        if not found:
            raise ValueError(f"{name}: no pictures or recordings there")
        files += found
    return files


def _of_folder(folder: Path) -> list[str]:
    from render.sources.folders import audio_files

    found = audio_files(folder)
    pictures = list_pictures(folder)
    if found and pictures:
        print(
            f"note: {folder}: {len(found)} recordings; {len(pictures)} pictures beside them are "
            "passed over",
            file=sys.stderr,
        )
    return [str(path) for path in found or pictures]


@contextmanager
def standard_input_as_file(inputs: list[str]) -> Iterator[str | None]:
    """A file that holds what stands on standard input if `-` is asked for, and is gone after."""
    if STDIN not in inputs:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="spectrofold-") as folder:
        file = Path(folder) / "standard input"
        with file.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
        yield str(file)
