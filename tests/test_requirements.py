"""requirements.txt names what is imported, and constraints.txt pins what it names."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.helpers import ROOT

ROOMS = ("common", "render", "data", "train", "inference", "app", "spectrofold")
# Asked for where they are used, with the words of `pip install`.
OPTIONAL = {"wandb", "umap", "dask", "distributed", "pyarrow", "beets"}


def distribution(line: str) -> str:
    """The name of a requirement, as package indexes compare names."""
    return re.split(r"[\s\[<>=;#]", line)[0].lower().replace("_", "-")


def named(file: str) -> set[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {distribution(line) for line in lines if line and line[0] not in "#-"}


def third_party(file: Path) -> set[str]:
    """Top packages that the file imports anywhere, without Python's own and ours."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - {*sys.stdlib_module_names, *ROOMS, "main", "predict", "bench"}


def test_what_is_imported_is_required() -> None:
    files = [ROOT / "main.py", ROOT / "predict.py"]
    files += [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    imported = set().union(*map(third_party, files)) - OPTIONAL
    of = packages_distributions()
    required = named("requirements.txt") | {"setuptools"}  # pip's own part of pyproject.toml
    missing = {
        name
        for name in imported
        if not {distribution(package) for package in of.get(name, [name])} & required
    }
    assert {"numpy", "scipy", "yaml", "torch"} <= imported, "the walk sees imports"
    assert not missing


def test_what_is_required_is_pinned() -> None:
    required = named("requirements.txt") | named("requirements-dev.txt")
    assert len(required) > 30
    assert not required - named("constraints.txt")
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "make constraints" in text and not re.search(r"://|@ |/home|\+cpu", text)
