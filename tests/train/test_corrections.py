"""main.py --corrections: songs that somebody corrected are drawn, learnt from, and not tested."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from data.corrections import add_correction, correction_of
from tests.helpers import SHORT, TINY, run_script
from tests.sounds import write_sound

pytestmark = pytest.mark.slow  # whole commands, or as long as these


def test_a_run_learns_from_corrections(heard: Path, tmp_path: Path) -> None:
    """A new song is trained on; a tested one under another name is not; a lost one is named."""
    root = heard.parent.parent
    with (heard / "split.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    tested = next(row for row in rows if row["split"] == "test")
    recording = Path(tested["path"]).stem.rpartition("__")[0]
    again = shutil.copy(root / "audio" / tested["label"] / f"{recording}.wav", tmp_path / "x.wav")
    table = tmp_path / "corrections.csv"
    shutil.copy(heard / "predictions.csv", tmp_path)
    lost = write_sound(tmp_path / "lost.wav", "low", 2, 77)
    for file, label in ((write_sound(tmp_path / "new.flac", "high", 3, 78), "high"),
                        (Path(again), tested["label"]), (lost, "low")):  # fmt: skip
        add_correction(table, correction_of(file, label, "anna"))
    lost.unlink()
    done = run_script(
        "main.py", "--data", root / "spectrograms", "--out", tmp_path / "runs", *TINY, *SHORT,
        "--epochs", "2", "--duplicates", "exact", "--corrections", table,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr  # a corrected file is no longer there
    assert "1 corrected recording is trained on, and never tested; 1 more not even" in done.stdout
    assert f"{lost}: no such file" in done.stdout
    assert "tested examples are answered otherwise" in done.stdout
    run = tmp_path / "runs/latest"
    assert "tested examples are answered otherwise" in (run / "report.html").read_text()
    with (run / "split.csv").open(newline="") as lines:
        now = {row["path"]: row["split"] for row in csv.DictReader(lines)}
    corrected = {path: part for path, part in now.items() if path.startswith("../")}
    assert sorted(set(corrected.values())) == ["test", "train"]
    n_tested = sum(part == "test" for path, part in now.items() if path not in corrected)
    assert json.loads((run / "metrics.json").read_text())["test"]["n"] == n_tested
