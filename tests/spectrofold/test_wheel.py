"""The wheel: `import spectrofold` and the command, outside the clone, with no `data` or `train`."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spectrofold.__main__ import COMMANDS
from spectrofold.build_backend import rewritten
from tests.helpers import ROOT, Run

pytestmark = pytest.mark.slow  # whole commands, or as long as these


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT]
    subprocess.run(list(map(str, wheel)), check=True, capture_output=True, cwd=folder)
    (file,) = folder.glob("spectrofold-*.whl")
    install = [*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", file]
    subprocess.run(list(map(str, install)), check=True, capture_output=True, cwd=folder)
    return folder / "site"


def outside(site: Path, cwd: Path, *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_only_one_name_stands_in_site_packages(site: Path) -> None:
    names = {path.name.partition("-")[0] for path in site.iterdir()} - {"bin"}
    assert names == {"spectrofold"}


def test_every_command_says_its_help(site: Path, tmp_path: Path) -> None:
    script = (
        "import contextlib, io, runpy, sys\n"
        "for name in sys.argv[1:]:\n"
        "    sys.argv = ['spectrofold', name, '--help']\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as said:\n"
        "        try: runpy.run_module('spectrofold', run_name='__main__')\n"
        "        except SystemExit as end: assert end.code == 0, (name, end.code)\n"
        "    assert said.getvalue().startswith('usage: '), (name, said.getvalue())\n"
        "print('torch' in sys.modules)\n"
    )
    done = outside(site, tmp_path, sys.executable, "-c", script, *COMMANDS)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"), [(["pedict"], "did you mean predict?"), (["polka"], "one of train")]
)
def test_an_unknown_command_is_a_usage_error(
    site: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = outside(site, tmp_path, site / "bin" / "spectrofold", *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_the_version_is_the_packages(site: Path, tmp_path: Path) -> None:
    done = outside(site, tmp_path, site / "bin" / "spectrofold", "--version")
    assert done.stdout.startswith("spectrofold 0.")


def test_songs_are_rendered_trained_on_and_classified_from_python(
    site: Path, tmp_path: Path
) -> None:
    """Two tones are two classes: what a person would type after `pip install spectrofold`."""
    rng = np.random.default_rng(0)
    for name, hz in (("low", 300), ("high", 3000)):
        (tmp_path / "music" / name).mkdir(parents=True)
        for i in range(6):
            t = np.arange(22_050 * 2) / 22_050
            y = 0.5 * np.sin(2 * np.pi * hz * (1 + 0.02 * i) * t) + 0.01 * rng.normal(size=len(t))
            soundfile.write(tmp_path / "music" / name / f"{name}{i}.wav", y, 22_050)
    script = (
        "import spectrofold\n"
        "made = spectrofold.render('music', clip_seconds=1, jobs=1)\n"
        "print(made.made)\n"
        "run = spectrofold.train('spectrograms', model='test_efficientnet', pretrained=False,\n"
        "    image_size='64', folds=2, epochs=8, finetune='all', learning_rate=0.05,\n"
        "    batch_size=8, dropout=0.0, duplicates='ignore')\n"
        "model = spectrofold.load(run / 'model.pth')\n"
        "for answer in spectrofold.predict(model, ['music/low/low0.wav', 'nothing.wav']):\n"
        "    print(type(answer).__name__)\n"
        "try: spectrofold.train('spectrograms', epoch=1)\n"
        "except TypeError as error: print(error)\n"
    )
    done = outside(site, tmp_path, sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "24"
    assert lines[-3:-1] == ["Prediction", "LeftOut"] and lines[-1].startswith("no option epoch;")


def test_a_clone_answers_like_the_wheel(trained: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spectrofold", "predict", str(trained.folder / "nothing.pth"), "x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stderr.startswith("error: no model file at")


def test_imports_are_written_anew_wherever_they_stand() -> None:
    source = "from data.x import y\nif z:\n    from train import w\nimport app.page as page\n"
    assert rewritten(source, "f.py") == (
        "from spectrofold._rooms.data.x import y\nif z:\n"
        "    from spectrofold._rooms.train import w\nimport spectrofold._rooms.app.page as page\n"
    )
    assert rewritten("from database import data\n", "f.py") == "from database import data\n"
    with pytest.raises(ValueError, match="import data"):
        rewritten("import data\n", "f.py")
