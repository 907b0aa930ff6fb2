"""Many recordings at once: the same answers in the same order, and a table that goes on."""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from inference.clips import LONG_SECONDS, Cutting
from inference.command import classify
from inference.config import PredictConfig
from inference.pipeline import FILES_AHEAD, predict_side_by_side
from inference.prediction import LeftOut, Prediction
from inference.resume import resumed_table
from predict import load
from render import RenderSettings, pictures_of
from tests.helpers import run_script
from tests.sounds import SR, write_sound
from train.models.network import TorchNetwork


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven recordings of two classes, and one that is none."""
    folder = tmp_path_factory.mktemp("library")
    for n in range(7):
        kind = "high" if n % 2 else "low"
        write_sound(folder / f"{n}_{kind}.wav", kind, 2.2 + n / 2, seed=n)
    (folder / "3b_broken.wav").write_bytes(b"RIFF and then nothing of the kind")
    return folder


def test_side_by_side_gives_the_answers_of_one_by_one_in_order(heard: Path, library: Path) -> None:
    files = [str(path) for path in sorted(library.iterdir())]
    for name in ("model.onnx", "model.pth"):
        model = load(heard / name)
        together = list(model.predict(files))
        for path, result in zip(files, together, strict=True):
            if "broken" in path:
                assert isinstance(result, LeftOut)
                assert path in result.reason
                continue
            assert isinstance(result, Prediction)
            alone = model(path)
            assert (result.path, result.label) == (path, path.rsplit("_", 1)[1][:-4])
            assert [c.start_s for c in result.timeline] == [c.start_s for c in alone.timeline]
            for label, probability in alone.probabilities.items():
                assert result.probabilities[label] == pytest.approx(probability, abs=1e-3)


def test_a_torch_network_as_onnx_answers_alike(heard: Path) -> None:
    model = load(heard / "model.pth")
    assert isinstance(model.network, TorchNetwork)
    spec = model.facts.image
    shape = (3, spec.height, spec.width, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    ours = model.network.logits(pictures)
    np.testing.assert_allclose(model.network.as_onnx(spec).logits(pictures), ours, atol=1e-3)
    # a program beside the model file is used where it is the same network, and not else
    other = load(heard / "model.pth").network
    assert isinstance(other, TorchNetwork)
    assert other._working_twin(spec) is not None
    with torch.no_grad():
        other.classifier.get_parameter("head.bias").add_(1.0)
    assert other._working_twin(spec) is None
    np.testing.assert_allclose(other.as_onnx(spec).logits(pictures), ours + 1, atol=1e-3)


def test_no_more_files_are_begun_than_are_soon_asked_for(heard: Path, library: Path) -> None:
    """Memory does not grow with the library: an endless one is answered as it comes."""
    begun: list[str] = []
    song = str(library / "0_low.wav")

    def endless() -> Iterator[str]:
        while True:
            begun.append(song)
            yield song

    model = load(heard / "model.onnx")
    results = predict_side_by_side(model, endless(), batch_size=4, cutting=Cutting(), n_threads=2)
    for n in range(1, 21):
        assert isinstance(next(results), Prediction)
        assert len(begun) <= n + 2 * FILES_AHEAD


def test_long_recordings_are_cut_without_overlap(heard: Path, tmp_path: Path) -> None:
    model = load(heard / "model.onnx")  # clips of one second
    starts = {}
    for seconds in (10, LONG_SECONDS + 5):
        path = write_sound(tmp_path / f"{seconds:.0f}.wav", "low", seconds, seed=1)
        starts[seconds] = [c.span[0] for c in model.of_recording(str(path), Cutting()) if c.span]
    assert np.allclose(np.diff(starts[10]), 0.5)
    assert np.allclose(np.diff(starts[LONG_SECONDS + 5]), 1.0)


def test_a_few_clips_are_spread_over_the_recording(heard: Path, tmp_path: Path) -> None:
    model = load(heard / "model.onnx")
    path = write_sound(tmp_path / "song.wav", "high", 12.0, seed=1)
    spread = [(1.5, 2.5), (5.5, 6.5), (9.5, 10.5)]
    assert [c.span for c in model.of_recording(str(path), Cutting(n_clips=3))] == spread
    (answer,) = model.predict([str(path)], n_clips=3)
    assert isinstance(answer, Prediction)
    assert [(c.start_s, c.end_s) for c in answer.timeline] == spread
    short = write_sound(tmp_path / "short.wav", "high", 0.6, seed=1)
    assert len(list(model.of_recording(str(short), Cutting(n_clips=3)))) == 1


def test_a_header_that_promises_too_much_loses_no_song(tmp_path: Path) -> None:
    """Of an mp3 that was cut off, the few seconds that are there are looked at."""
    settings = RenderSettings(clip_seconds=1.0)
    whole = tmp_path / "whole.mp3"
    t = np.arange(SR * 60) / SR
    soundfile.write(whole, 0.1 * np.sin(2 * np.pi * 440 * t), SR)
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 20])
    pictures = list(pictures_of(cut, settings, n_clips=3))
    assert pictures
    assert all(end <= 5 for _, end, _ in pictures)


def test_the_table_goes_on_where_it_was_interrupted(
    heard: Path, library: Path, tmp_path: Path
) -> None:
    """Three answers, a row that a kill cut off, a changed song, another model."""
    model_file, table = heard / "model.onnx", tmp_path / "t.csv"
    model, config = load(model_file), PredictConfig(csv=str(table))
    songs = [tmp_path / f"{n}.wav" for n in range(4)]
    for n, song in enumerate(songs):
        write_sound(song, "low", 1.5, seed=n)
    names = [str(song) for song in songs]

    def answer(file: Path = model_file, config: PredictConfig = config) -> list[str]:
        """Answer what the table lacks; the paths that were answered."""
        with resumed_table(table, file, config, model.classes) as resumed:
            new = [name for name in names if name not in resumed.answered]
            assert {p.path for p in resumed.earlier()} == set(names) - set(new)
            for result in model.predict(new):
                assert isinstance(result, Prediction)
                resumed.add(result)
        return new

    with resumed_table(table, model_file, config, model.classes) as resumed:
        for result in model.predict(names[:3]):
            assert isinstance(result, Prediction)
            resumed.add(result)
    with table.open("a") as out:
        out.write(f"{names[3]},0.000,1.5")  # a kill came here
    assert answer() == names[3:]
    assert answer() == []
    write_sound(songs[1], "high", 1.7, seed=9)
    os.utime(songs[1], ns=(1, 1))
    assert answer() == [names[1]]
    with table.open(newline="") as rows:
        found = {row["path"]: row["class"] for row in csv.DictReader(rows)}
    assert found == dict.fromkeys(names, "low") | {names[1]: "high"}
    assert answer(config=PredictConfig(csv=str(table), clips=1)) == names
    assert answer(heard / "model.pth", PredictConfig(csv=str(table), clips=1)) == names


def test_the_command_goes_on_and_sorts_all(heard: Path, library: Path, tmp_path: Path) -> None:
    table, lists = tmp_path / "t.csv", tmp_path / "lists"
    first = run_script("predict.py", heard / "model.onnx", library / "0_low.wav", "--csv", table)
    assert first.returncode == 0, first.stderr
    args = (heard / "model.onnx", library, "--csv", table, "--sort", lists, "--json")
    again = run_script("predict.py", *args)
    assert again.returncode == 3  # the broken one
    assert "1 of 8 are in" in again.stderr
    assert len(json.loads(again.stdout)) == 7
    assert len((lists / "low.m3u8").read_text().splitlines()) == 1 + 4
    with table.open(newline="") as rows:
        assert len(list(csv.DictReader(rows))) == 7


def test_a_table_of_a_run_folder_has_a_file_once(
    heard: Path, library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "t.csv"
    song, config = str(library / "0_low.wav"), PredictConfig(csv=str(table))
    assert classify(str(heard), [song, song], config) == 0
    with table.open(newline="") as rows:
        assert [row["path"] for row in csv.DictReader(rows)] == [song]
    assert classify(str(heard / "model.pth"), [song], config) == 0
    assert "note: 1 of 1 are in" in capsys.readouterr().err


def test_hop_and_clips_exclude_each_other(heard: Path) -> None:
    done = run_script("predict.py", heard / "model.onnx", "x.wav", "--hop", "1", "--clips", "3")
    assert done.returncode == 2
    assert "--hop and --clips" in done.stderr
