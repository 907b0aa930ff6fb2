"""Builds the wheel: the project's folders under the one name `spectrofold`, by setuptools.

In a clone the folders `data`, `train` and so on stand at the top, as its scripts want them. Names
as common as these must not stand at the top of somebody's site-packages: here they are copied into
`spectrofold/_rooms/`, and their imports of each other are rewritten.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from setuptools import build_meta

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("common", "render", "data", "train", "inference", "app", "subsampled_data")
SCRIPTS = ("main.py", "predict.py")
INNER = "spectrofold._rooms"
_NAMES = "|".join([*FOLDERS, *(script.removesuffix(".py") for script in SCRIPTS)])
_FROM = re.compile(rf"^(\s*)from ({_NAMES})(?=[.\s])", re.MULTILINE)
_IMPORT = re.compile(rf"^(\s*)import ((?:{_NAMES})(?:\.\w+)*)(?= as )", re.MULTILINE)
_BARE = re.compile(rf"^\s*import ({_NAMES})\b(?!.* as )", re.MULTILINE)

get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist


def rewritten(source: str, name: str) -> str:
    """The source of a file with the rooms imported from `spectrofold._rooms`.

    Raises ValueError for `import data.x` without `as`, which would bind another name.
    """
    if bare := _BARE.search(source):
        raise ValueError(f"{name}: {bare[0].strip()}: write `from ... import ...` or add `as`")
    source = _FROM.sub(rf"\1from {INNER}.\2", source)
    return _IMPORT.sub(rf"\1import {INNER}.\2", source)


def stage(folder: Path) -> None:
    """Write into `folder` the tree that setuptools packs."""
    rooms = folder / "spectrofold" / "_rooms"
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "build_backend.py")
    shutil.copytree(ROOT / "spectrofold", folder / "spectrofold", ignore=ignore)
    rooms.mkdir()
    (rooms / "__init__.py").write_text(
        '"""The folders of the project, as they stand in a clone."""\n'
    )
    for name in FOLDERS:
        shutil.copytree(ROOT / name, rooms / name, ignore=ignore)
    for name in (*SCRIPTS, "requirements.txt", "pyproject.toml", "README.md", "LICENSE"):
        target = rooms if name in SCRIPTS else folder
        shutil.copy(ROOT / name, target / name)
    for file in (folder / "spectrofold").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        file.write_text(rewritten(text, file.name), encoding="utf-8")


@contextlib.contextmanager
def _staged() -> Iterator[None]:
    """Stand in the staged tree, as setuptools wants it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder))
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, str | list[str] | None] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel into `wheel_directory`; the file's name (PEP 517)."""
    target = str(Path(wheel_directory).resolve())
    with _staged():
        return build_meta.build_wheel(target, config_settings)


def build_sdist(
    sdist_directory: str, config_settings: dict[str, str | list[str] | None] | None = None
) -> str:
    """Build a source distribution of the staged tree; the file's name (PEP 517)."""
    target = str(Path(sdist_directory).resolve())
    with _staged():
        return build_meta.build_sdist(target, config_settings)
