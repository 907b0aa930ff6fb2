"""Data flows one way: the arrows of DESIGN.md, read from the source files."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The order of the rooms: each imports only what stands before it.
BEFORE: dict[str, set[str]] = {
    "common": set(),
    "render": {"common"},
    "data": {"common"},
    "train": {"common", "render", "data"},
    "inference": {"common", "render", "data", "train"},
    "app": {"common", "render", "data", "train", "inference"},
}
ROOMS = tuple(BEFORE)
SCRIPTS_AND_BENCH = {"main", "predict", "bench", "tests", "subsampled_data"}
FOLDERS = sorted(
    {
        file.parent.relative_to(ROOT).as_posix()
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
    }
)
SLOW = {"torch", "torchvision", "timm", "lightning", "sklearn", "torchmetrics", "onnxruntime"}
SCRIPTS = [name for name in ("main.py", "predict.py") if (ROOT / name).exists()]


def folder_files(*folders: str) -> list[str]:
    files = (file for name in folders for file in (ROOT / name).rglob("*.py"))
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def imported(file: Path, nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Absolute dotted name of each module, or name of a module, that the nodes import."""
    package = file.relative_to(ROOT).parent.parts
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def everywhere(file: Path) -> set[str]:
    """First parts of all imports of a file, those inside functions too."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {name.split(".")[0] for name in imported(file, nodes)}


def at_import(file: Path) -> set[str]:
    """Dotted names that a file imports when it is imported itself."""

    def run_first(body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in body:
            yield node
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from run_first(node.orelse)
            elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
                for part in ("body", "orelse", "finalbody"):
                    yield from run_first(getattr(node, part, []))
                for handler in getattr(node, "handlers", []):
                    yield from run_first(handler.body)

    return set(imported(file, run_first(ast.parse(file.read_text(encoding="utf-8")).body)))


def reached(script: str) -> dict[str, str]:
    """Each package that importing the script imports, with the project file that asks for it."""
    found: dict[str, str] = {}
    waiting, seen = [ROOT / script], set()
    while waiting:
        file = waiting.pop()
        seen.add(file)
        for name in at_import(file):
            parts = name.split(".")
            found.setdefault(parts[0], file.relative_to(ROOT).as_posix())
            for n in range(1, len(parts) + 1):  # importing a.b runs a/__init__.py as well
                here = ROOT.joinpath(*parts[:n])
                for own in (here.with_suffix(".py"), here / "__init__.py"):
                    if own.is_file() and own not in seen:
                        waiting.append(own)
    return found


@pytest.mark.parametrize("file", folder_files(*ROOMS))
def test_a_folder_imports_only_what_stands_before_it(file: str) -> None:
    room = file.split("/")[0]
    assert not everywhere(ROOT / file) & ({*ROOMS, *SCRIPTS_AND_BENCH} - {room} - BEFORE[room])


@pytest.mark.parametrize("file", folder_files(*ROOMS, "bench", "subsampled_data"))
def test_nothing_imports_a_command(file: str) -> None:
    """A command is a folder's `__main__.py`: what others need of it belongs into a file beside."""
    tree = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    assert not [name for name in imported(ROOT / file, tree) if "__main__" in name.split(".")]


@pytest.mark.parametrize("file", folder_files(*ROOMS, "bench", "subsampled_data"))
def test_nothing_imports_the_scripts(file: str) -> None:
    """`from predict import load` is for users; the bench times the same call."""
    allowed = {"predict"} if file.startswith("bench/") else set()
    assert not everywhere(ROOT / file) & ({"main", "predict"} - allowed)


def test_no_two_files_import_each_other() -> None:
    """No cycle among files, imports inside functions included."""
    files = folder_files(*ROOMS)
    names = {
        file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in files
    }
    arrows = {
        name: {
            found
            for found in imported(
                ROOT / file, ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
            )
            if found in names and found != name
        }
        for name, file in names.items()
    }
    while leaves := [name for name, targets in arrows.items() if not targets]:
        for name in leaves:
            del arrows[name]
        for targets in arrows.values():
            targets.difference_update(leaves)
    assert not arrows, f"in or behind a cycle: {sorted(arrows)}"


def test_one_place_opens_pictures() -> None:
    """Elsewhere, a format whose reader starts another program would be let in again."""
    texts = {file: (ROOT / file).read_text(encoding="utf-8") for file in folder_files(*ROOMS)}
    assert [file for file, text in texts.items() if "Image.open(" in text] == ["common/pictures.py"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_has_at_most_14_entries(folder: str) -> None:
    entries = [
        path
        for path in (ROOT / folder).iterdir()
        if path.name not in ("__pycache__", "__init__.py")
    ]
    assert len(entries) <= 14


@pytest.mark.parametrize("file", folder_files("render", "common"))
def test_render_and_common_never_import_torch(file: str) -> None:
    """Rendering runs on machines, and in worker processes, that have no use for it."""
    assert not everywhere(ROOT / file) & {"torch", "torchvision", "timm", "lightning"}


@pytest.mark.parametrize("file", ["data/images/read.py", "data/__init__.py", "common/cli.py"])
def test_what_onnx_prediction_needs_imports_no_torch(file: str) -> None:
    assert not everywhere(ROOT / file) & SLOW
    assert not reached(file).keys() & SLOW


def test_importing_data_images_read_loads_no_torch() -> None:
    """The same, by the interpreter's own account."""
    script = (
        "import sys, data.images.read; print(*sorted({'torch', 'torchvision'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_import_nothing_slow_before_parsing(script: str) -> None:
    """`--help` and a typing error answer at once, whatever module the import hides in."""
    found = reached(script)
    assert {package: found[package] for package in SLOW & found.keys()} == {}
    assert "data.images.loader" not in at_import(ROOT / script)


@pytest.mark.parametrize("file", folder_files(*ROOMS, "bench"))
def test_files_are_read_in_one_sitting(file: str) -> None:
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= 400


def test_the_walk_sees_imports_where_they_hide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test of the tests above: were the walk blind, they could not fail."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "train/__init__.py").write_text("import torch\n")
    (tmp_path / "train/config.py").write_text("from . import loop\ndef f():\n  import data.x\n")
    (tmp_path / "main.py").write_text("try:\n  from train.config import X\nfinally:\n  pass\n")
    assert everywhere(tmp_path / "train/config.py") == {"train", "data"}
    assert at_import(tmp_path / "train/config.py") == {"train", "train.loop"}
    assert reached("main.py") == {"train": "main.py", "torch": "train/__init__.py"}


def described() -> list[str]:
    """The files that ARCHITECTURE.md's tree names, read from its indentation."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    tree = text.split("## The tree")[1].split("```")[1]
    parents: list[str] = []
    files = []
    for line in tree.splitlines():
        if not (name := line.strip().split("  ")[0]):
            continue
        assert len(line.strip().split("  ", 1)) == 2, f"no phrase: {line}"
        depth = (len(line) - len(line.lstrip())) // 4
        parents[depth:] = [name]
        if not name.endswith("/"):
            files.append("".join(parents))
    return files


def test_the_tree_of_the_architecture_is_that_of_the_project() -> None:
    """Each file of the product has its phrase, and nothing is described that is not there.

    Tests mirror the folders, __init__ files say what their folder is, pictures are data.
    """
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no git checkout")
    tracked = {
        file
        for file in done.stdout.splitlines()
        if file.startswith((*(f"{room}/" for room in ROOMS), "spectrofold/", "bench/"))
        and not file.endswith("/__init__.py")
    }
    files = described()
    assert len(files) == len(set(files))
    assert not tracked - set(files), "in the project, but not in ARCHITECTURE.md"
    assert not [file for file in files if not (ROOT / file).is_file()], "described, but not there"


@pytest.mark.parametrize("file", folder_files(*ROOMS, "bench", "spectrofold", "subsampled_data"))
def test_functions_are_read_at_one_look(file: str) -> None:
    """At most 40 lines after the signature and the docstring."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[bool(ast.get_docstring(node)) :] or node.body
            length = (node.end_lineno or 0) - body[0].lineno + 1
            assert length <= 40, f"{node.name} has {length} lines"
