"""A minute of hostile files: no exception but ValueError, no hang, no gigabyte, no crash.

The cases are the first few hundred of each kind on every machine, as far as a minute reaches.
python -m tests.fuzz 3600 tries new ones for an hour, python -m tests.fuzz KIND SEED repeats one.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuzz.attacked_files import predict_files, render_files
from tests.fuzz.cases import KINDS
from tests.fuzz.part import BATCH, House, Part
from tests.fuzz.runner import Finding, Fuzzer
from tests.fuzz.watched import watch

pytestmark = pytest.mark.slow  # whole commands, or as long as these

SECONDS, MOST = 60, 400


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzer]:
    made = Fuzzer(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.end()


HARMFUL = """
import pathlib, shutil, subprocess, sys
folder = pathlib.Path(sys.argv[1])
(folder / "a").mkdir()
(folder / "a/b").write_text("x")
shutil.rmtree(folder / "a")
(folder.parent / "out").write_text("x")
(folder.parent / "out").unlink()
subprocess.run(["true"])
memory = bytearray(1_300_000_000)
raise LookupError
"""


def test_harm_is_seen(tmp_path: Path) -> None:
    """A test of the watch: what a command does inside its folder is its own affair, else not."""
    (folder := tmp_path / "in").mkdir()
    (tmp_path / "x.py").write_text(HARMFUL)
    ended = watch([tmp_path / "x.py", folder], folder, TMPDIR=str(folder))
    kinds = [kind for kind, _ in ended.harm()]
    assert kinds == ["traceback", "memory", "program", "outside", "outside"], ended
    assert set(ended.touched) == {str(tmp_path / "out")}


@pytest.mark.parametrize("attacked", [predict_files, render_files])
def test_no_file_does_harm_through_a_command(
    heard: Path, attacked: Callable[[House, Part, int], None]
) -> None:
    """The first files of ten kinds; python -m tests.fuzz attack tries a thousand."""
    root = heard.parent.parent
    house = House(root, heard / "model.pth", root / "audio/high/high0.wav", root / "spectrograms")
    part = Part(attacked.__name__)
    attacked(house, part, BATCH)
    assert part.tried == BATCH and not part.harms, part.harms


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_of_a_kind_does_harm(fuzzer: Fuzzer, kind: str) -> None:
    results = list(fuzzer.fuzz(kind, SECONDS / len(KINDS), most=MOST))
    found = [str(one) for one in results if isinstance(one, Finding)]
    assert not found, "\n".join(found[:5])
    assert isinstance(results[-1], int) and results[-1] > 1
