"""requirements.txt names what is imported, and constraints*.txt pin that."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

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
    assert not required - (named("constraints.txt") | named("constraints-dev.txt"))


def test_users_need_not_install_what_tests_do() -> None:
    assert not named("requirements.txt") - named("constraints.txt")
    assert not {"pytest", "mypy", "ruff", "playwright"} & named("constraints.txt")


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-dev.txt"])
def test_every_pin_has_one_version_and_hashes(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not re.search(r"://|@ |/home|\+cpu", text)
    pins = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(pins) > 25
    pin = re.compile(r"[a-z0-9.-]+==[\w.]+( ; [^#;]+?)?( --hash=sha256:[0-9a-f]{64})+")
    assert [line for line in pins if not pin.fullmatch(line)] == []


def test_what_was_replaced_at_its_index_is_not_installed(tmp_path: Path) -> None:
    """A wheel of a pinned name and version, but of other contents."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pin = next(line for line in lines if line.startswith("absl-py=="))
    (tmp_path / "pin.txt").write_text(pin)
    version = pin.split()[0].partition("==")[2]
    with zipfile.ZipFile(tmp_path / f"absl_py-{version}-py3-none-any.whl", "w") as wheel:
        folder = f"absl_py-{version}.dist-info"
        wheel.writestr(f"{folder}/METADATA", f"Name: absl-py\nVersion: {version}\n")
        wheel.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\n")
        wheel.writestr(f"{folder}/RECORD", "")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-index", "--dest", "got"]
    command += ["--find-links", ".", "--require-hashes", "-r", "pin.txt"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not any((tmp_path / "got").glob("*.whl"))
