"""--cluster: songs answered by two real Dask workers, one of them killed in the middle."""

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from inference.clips import Cutting
from inference.cluster import FileAnswer, on_cluster
from inference.config import PredictConfig
from inference.prediction import LeftOut, Prediction
from predict import load
from tests.helpers import ROOT
from tests.sounds import write_sound

pytest.importorskip("distributed", reason="dask[distributed] is not installed")
N_SONGS = 60


def test_a_killed_worker_loses_no_answer(heard, tmp_path, cluster):
    address, workers = cluster
    songs = tmp_path / "songs"
    for kind in ("high", "low"):
        first = write_sound(songs / f"{kind}0.wav", kind, 8, seed=1)
        for n in range(1, N_SONGS // 2):
            os.link(first, songs / f"{kind}{n}.wav")
    (songs / "broken.wav").write_bytes(b"RIFF and then nothing of the kind")
    table = tmp_path / "t.csv"
    command = [sys.executable, str(ROOT / "predict.py"), str(heard / "model.onnx"), "songs"]
    command += ["--cluster", address, "--csv", "t.csv"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        while run.poll() is None and not (table.is_file() and table.read_text().count("\n") > 5):
            time.sleep(0.01)
        workers[0].send_signal(signal.SIGKILL)
        _, stderr = run.communicate(timeout=120)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 3, stderr  # one was left out, and is named as it was asked for
    assert "error: songs/broken.wav: " in stderr
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == N_SONGS
    assert {row["path"] for row in rows} == {f"songs/{p.name}" for p in songs.glob("*[0-9].wav")}
    model = load(heard / "model.onnx")
    for kind in ("high", "low"):
        alone = model(songs / f"{kind}0.wav")
        for row in (row for row in rows if f"/{kind}" in row["path"]):
            assert row["class"] == alone.label == kind
            assert float(row["probability"]) == pytest.approx(alone.probability, abs=1e-3)


def test_a_worker_answers_by_the_model_file_as_it_is_now(heard, tmp_path, monkeypatch):
    """Relative paths start from the command's folder; a changed model file is loaded anew."""
    song = write_sound(tmp_path / "low.wav", "low", 2, seed=1)
    model_file = tmp_path / "model.onnx"
    model_file.write_bytes((heard / "model.onnx").read_bytes())

    def answer(content: tuple[int, int]) -> Prediction | LeftOut:
        asked = FileAnswer(str(model_file), content, str(tmp_path), 1, None, Cutting())
        return asked("low.wav")

    monkeypatch.chdir(ROOT)  # a worker's folder is another one
    found = answer((1, 1))
    assert isinstance(found, Prediction)
    assert (found.path, found.label) == ("low.wav", "low")
    model_file.write_bytes(b"no model")
    assert answer((1, 1)) == found
    with pytest.raises(ValueError, match=r"a worker on .*: .*model.onnx"):
        answer((2, 2))
    song.unlink()
    model_file.write_bytes((heard / "model.onnx").read_bytes())
    gone = answer((3, 3))
    assert isinstance(gone, LeftOut)
    assert gone.reason.startswith("low.wav: ")


def test_what_cannot_be_sent_is_refused(heard, tmp_path):
    with pytest.raises(ValueError, match="--cluster and --plot"):
        PredictConfig(cluster="tcp://x:1", plot="p.png")
    facts = load(heard / "model.onnx").facts
    table = replace(facts, inputs=("a column",))
    with pytest.raises(ValueError, match="is of a table; leave out --cluster"):
        on_cluster("tcp://x:1", Path("m.onnx"), table, ["a.csv"], PredictConfig())
