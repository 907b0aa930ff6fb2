"""The plugin, in real beets with a library of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from render.audio.tags import read_tags
from tests.helpers import ROOT
from tests.inference.library.conftest import library, music
from tests.inference.library.helpers import Library
from tests.inference.library.test_tagging import write_predictions

pytest.importorskip("beets", reason="beets is not installed: pip install beets")
__all__ = ["library", "music"]

CONFIG = """
directory: {folder}/music
library: {folder}/beets.db
pluginpath: {root}/spectrofold/beetsplug
plugins: spectrofold
import: {{copy: no, autotag: no, duplicate_action: keep}}
spectrofold: {{index: {index}, precision: 0.9}}
"""


@pytest.mark.slow
def test_beets_sets_the_genres_that_are_promised(
    library: Library, music: Path, tmp_path: Path
) -> None:
    library.model = shutil.copy(library.model, tmp_path / "model.onnx")
    write_predictions(tmp_path / "predictions.csv", lambda i: i % 5 > 0)  # high: nothing promised
    library.scan(music)
    home = tmp_path / "beets"
    home.mkdir()
    config = CONFIG.format(folder=tmp_path, root=ROOT, index=library.index)
    (home / "config.yaml").write_text(config)

    def beet(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "beets", *words], cwd=tmp_path, text=True, capture_output=True,
            env=os.environ | {"BEETSDIR": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    beet("import", "-q", "-W", str(music))
    said = beet("spectrofold", "--pretend")
    assert said.count("nothing -> low") == 3
    assert beet("ls", "-f", "$genres", "genres:low") == ""
    assert beet("spectrofold") == said
    for file in music.glob("*/*.flac"):
        assert read_tags(file).genres == (("low",) if file.parent.name == "low" else ())
    assert beet("spectrofold") == ""
    assert "0 to hear" in library.scan(music)[1]
