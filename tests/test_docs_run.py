"""Every command of README and docs is run, in order, on small data in a copy of the clone.

What is not run here stands in NOT_RUN with the reason, and its options are parsed by test_docs.py.
"""

import os
import re
import shlex
import shutil
from pathlib import Path

import mutagen
import numpy as np
import pytest

from spectrofold.__main__ import COMMANDS
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
    "python -m train.export --from-state-dict": "wants a ResNet50: tests/train/test_export.py",
    "python -m train.export runs/latest/model.pth --page": "wants npm: test_static_page.py",
    "spectrofold ": "is the wheel's: tests/spectrofold/test_wheel.py",
}
NEEDS_CLUSTER = "--cluster"  # tests/inference/test_cluster.py, tests/render/test_cluster.py
# What is appended to a command that begins so, the longest that does: it then takes seconds.
QUICK = (*TINY, "--folds", "2", "--epochs", "1")
QUICKLY: dict[str, tuple[str, ...]] = {
    "python main.py": (*QUICK, "--out", "trained"),
    "python main.py MUSIC": (*QUICK, "--clip-seconds", "1"),
    "python main.py --config": ("--out", "trained"),
    "python main.py features.csv": ("--out", "tables", "--folds", "2"),
    "python main.py features.csv --label": ("--out", "tables", "--folds", "2", "--epochs", "5"),
    "python main.py default_features": ("--out", "places", "--folds", "2", "--model", "logistic"),
    "python -m train.tune": (*QUICK, "--trials", "1", "--only", "learning_rate"),
    "python -m render MUSIC --features": ("--features", "computed.csv"),  # that of a model stays
    "python -m train.compare": ("--no-speed",),
}
CLASSES = {"jazz": "low"}  # of the pages' model, and of the one here
# The page explains rows of a table after pictures; runs/latest stays a model of pictures here.
OF_TABLES = "python -m inference.explain runs/latest/model.pth features.csv"


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
    write_music(folder)
    drawn = heard.parent.parent / "spectrograms"
    for name in ("pictures", "my_pictures", "other_pictures"):
        shutil.copytree(drawn, folder / name)
    for name in ("picture.png", "song.png"):
        shutil.copy(min(drawn.glob("low/*.png")), folder / name)
    for name in ("latest", "a", "b"):
        shutil.copytree(heard, folder / "runs" / name)
    write_tables(folder)
    return folder


def write_music(folder: Path) -> None:
    """MUSIC with its classes in folders, labels.csv, tags and playlists; Music; song.mp3."""
    rows = ["path,label"]
    for label, last in (("low", "song.mp3"), ("high", "high5.flac")):
        songs = [f"{label}/{name}" for name in (*(f"{label}{i}.flac" for i in range(5)), last)]
        for seed, name in enumerate(songs):
            file = write_sound(folder / "MUSIC" / name, label, 3, 100 * len(label) + seed)
            tags = mutagen.File(file, easy=True)
            tags["genre"] = label
            tags.save()
        (folder / f"MUSIC/{label}.m3u8").write_text("\n".join(["#EXTM3U", *songs]))
        rows += [f"{name},{label}" for name in songs]
    (folder / "labels.csv").write_text("\n".join(rows))
    shutil.copytree(folder / "MUSIC", folder / "Music")
    shutil.copy(folder / "MUSIC/low.m3u8", folder / "Music/party.m3u8")
    for name in ("song.mp3", "Music/song.mp3"):
        write_sound(folder / name, "low", 85, 9)
    write_sound(folder / "song.flac", "low", 3, 9)


def write_tables(folder: Path) -> None:
    """features.csv of two classes; a table as UCI's, whose last two columns are coordinates."""
    rng = np.random.default_rng(0)
    features, places = ["label,brightness,noise"], []
    for i in range(24):
        value, noise = i % 2 + rng.normal() / 10, rng.normal()
        features.append(f"{('low', 'high')[i % 2]},{value},{noise}")
        places.append(f"{value},{noise},{('48.85,2.35', '52.52,13.40')[i % 2]}")
    (folder / "features.csv").write_text("\n".join(features))
    (folder / "default_features_1059_tracks.txt").write_text("\n".join(places))


@pytest.mark.parametrize("page", NEW, ids=lambda page: page.name)
def test_every_command_of_a_page_does_what_it_says(page: Path, clone: Path) -> None:
    for line in NEW[page]:
        command, _, given = line.partition(" < ")
        words = [CLASSES.get(word, word) for word in shlex.split(command)[1:]]
        words = [str(clone / word[2:]) if word.startswith("~/") else word for word in words]
        words += QUICKLY.get(max(filter(line.startswith, QUICKLY), default=""), ())
        if line == OF_TABLES:
            words = [word.replace("runs/latest", "tables/latest") for word in words]
        script = words if words[0] == "-m" else [str(clone / words[0]), *words[1:]]
        env = os.environ | {"HF_HUB_OFFLINE": "1", "HOME": str(clone)}
        done = Command(script, cwd=clone, env=env, stdin=clone / given if given else None).finish()
        assert done.returncode == 0, f"{line}: {done.stdout[-500:]}{done.stderr[-500:]}"


def test_nothing_is_left_out_that_no_page_has() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [start for start in (*NOT_RUN, NEEDS_CLUSTER) if start not in text] == []
