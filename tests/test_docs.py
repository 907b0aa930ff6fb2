"""README and docs: current, short, and every command in them is one that the commands take."""

import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectrofold.__main__ import COMMANDS
from spectrofold.reference import FILE, reference
from tests.helpers import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = {module.removesuffix(".__main__"): module for module, _ in COMMANDS.values()}
ELSEWHERE = ("python -m venv", "pip install", "make ", "python -m bench.", ". .venv")


class Parsed(Exception):
    """The command line was taken: nothing after this is run."""


def command_lines() -> Iterator[str]:
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.splitlines():
                for command in line.split("&&"):
                    yield command.partition("#")[0].strip()


def test_the_option_reference_is_current() -> None:
    """`make docs` writes it anew."""
    assert FILE.read_text(encoding="utf-8") == reference()


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 700


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("line", sorted(set(filter(None, command_lines()))))
def test_every_command_of_the_docs_is_taken(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsed by the command's own parser: a renamed option or command is found here."""
    if line.startswith(ELSEWHERE) or line == "spectrofold --help":
        return
    program, *words = shlex.split(line.partition("<")[0])
    if program == "spectrofold":
        module, arguments = COMMANDS[words[0]][0], words[1:]
    elif words[0] == "-m":
        module, arguments = MODULES[words[1]], words[2:]
    else:
        module, arguments = words[0].removesuffix(".py"), words[1:]
    command = importlib.import_module(module)

    def parsed(*_: object) -> None:
        raise Parsed

    (tmp_path / "runs/tune").mkdir(parents=True)  # what an earlier command of the page has written
    (tmp_path / "runs/tune/best.yaml").write_text("epochs: 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "config_from", parsed)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(Parsed):
        command.main()


def test_a_wrong_option_would_be_found() -> None:
    """A test of the test above."""
    import predict

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(sys, "argv", ["predict.py", "m.pth", "x.mp3", "--no-such-option"])
        predict.main()
    assert end.value.code == 2
