"""Every command of README and docs is run, in order, on small data in a copy of the clone.

What is not run here stands in NOT_RUN with the reason, and its options are parsed by test_docs.py.
"""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from spectrofold.__main__ import COMMANDS
from tests import sounds
from tests.helpers import ROOT, TINY
from tests.sounds import write_sound
from tests.test_docs import PAGES
from tests.warm import Command

pytestmark = pytest.mark.slow  # whole commands, or as long as these

NOT_RUN = {
    "make ": "installs, or runs other lines of this page",
    "python -m venv": "installs",
    "pip install": "installs",
    "python -m bench.": "measures for minutes",
    "python -m app": "serves until it is ended: tests/app/test_page.py",
    "python -m train.tune": "searches for minutes: tests/train/test_tune.py",
    "python main.py --config runs/tune": "follows the search",
    "python main.py --data subsampled_data": "trains on the whole demo: .ci and make demo",
    "python main.py my_pictures": "wants weights of a hub, or trains as main.py MUSIC does",
    "python main.py default_features": "wants a file of the UCI: tests/data/test_csv_file.py",
    "python main.py features.csv": "trains as tests/train/test_tabular.py does",
    "python main.py MUSIC --labels": "wants labels of several kinds: tests/test_several_labels.py",
    "python -m train.export": "writes for minutes, or wants npm: tests/train/test_export.py",
    "python -m train.compare": "wants two runs on one split: tests/train/test_compare.py",
    "python -m train.evaluate": "answers as tests/train/evaluate/test_evaluate.py has it",
    "python predict.py runs/latest/model.pth - ": "reads standard input: tests/inference",
    "python -m inference.explain runs/latest/model.pth features.csv": "wants a model of tables",
    "spectrofold ": "is the wheel's: tests/spectrofold/test_wheel.py",
}
NEEDS_CLUSTER = "--cluster"  # tests/inference/test_cluster.py, tests/render/test_cluster.py
# What is appended, so that a training takes seconds.
QUICKLY = {"python main.py MUSIC": (*TINY, "--folds", "2", "--epochs", "1", "--clip-seconds", "1")}
CLASSES = {"jazz": "low"}  # of the pages' model, and of the one here


def commands_of(page: Path) -> list[str]:
    """The lines of the page's blocks of commands that are run, without their comments."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    wanted = (line for line in lines if line.startswith("python ") and NEEDS_CLUSTER not in line)
    return [line for line in wanted if not line.startswith(tuple(NOT_RUN))]


def new_commands() -> dict[Path, list[str]]:
    """The commands of each page that no page before it has, of those that have some."""
    seen: set[str] = set()
    found = {}
    for page in PAGES:
        found[page] = [line for line in commands_of(page) if line not in seen]
        seen.update(found[page])
    return {page: lines for page, lines in found.items() if lines}


NEW = new_commands()


@pytest.fixture(scope="module")
def clone(heard: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the files that the pages speak of, and a home with ~/Music."""
    folder = tmp_path_factory.mktemp("docs") / "clone"
    folder.mkdir()
    rooms = {module.split(".")[0] for module, _ in COMMANDS.values()}
    for name in rooms - {"main", "predict"} | {"main.py", "predict.py", "subsampled_data"}:
        (folder / name).symlink_to(ROOT / name)
    sounds.write_collection(folder / "MUSIC", n_recordings=6, seconds=3)
    shutil.copytree(folder / "MUSIC", folder / "Music")
    write_sound(folder / "song.mp3", "low", 85, 9)
    for name in ("song.flac", "MUSIC/low/song.mp3"):
        write_sound(folder / name, "low", 3, 9)
    shutil.copy(folder / "song.mp3", folder / "Music")
    names = [f"{label}/{label}{i}.wav" for label in ("low", "high") for i in range(3)]
    (folder / "Music/party.m3u8").write_text("\n".join(["#EXTM3U", *names]))
    drawn = heard.parent.parent / "spectrograms"
    for name in ("pictures", "my_pictures"):
        shutil.copytree(drawn, folder / name)
    for name in ("picture.png", "song.png"):
        shutil.copy(min(drawn.glob("low/*.png")), folder / name)
    (folder / "runs").mkdir()
    shutil.copytree(heard, folder / "runs/latest")
    return folder


@pytest.mark.parametrize("page", NEW, ids=lambda page: page.name)
def test_every_command_of_a_page_does_what_it_says(page: Path, clone: Path) -> None:
    for line in NEW[page]:
        words = [CLASSES.get(word, word) for word in shlex.split(line)[1:]]
        words = [str(clone / word[2:]) if word.startswith("~/") else word for word in words]
        words += QUICKLY.get(line, ())
        script = words if words[0] == "-m" else [str(clone / words[0]), *words[1:]]
        env = os.environ | {"HF_HUB_OFFLINE": "1", "HOME": str(clone)}
        done = Command(script, cwd=clone, env=env).finish()
        assert done.returncode == 0, f"{line}: {done.stdout[-500:]}{done.stderr[-500:]}"


def test_nothing_is_left_out_that_no_page_has() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [start for start in (*NOT_RUN, NEEDS_CLUSTER) if start not in text] == []
