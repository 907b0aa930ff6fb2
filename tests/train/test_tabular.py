"""Tables: what is dropped is said, nothing is learnt from tested rows, and all commands agree."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data.config import DataConfig
from data.tabular.table import read_table
from tests.helpers import Run, run_script
from train.compare.comparison import compare
from train.compare.finished_run import read_run, whole_recordings
from train.config import TrainConfig
from train.loop.checkpoint import weights_digest
from train.loop.loggers import Silent
from train.tabular.baselines import BASELINES, fit_baselines
from train.tabular.models import with_defaults
from train.tabular.network import Standardise, TableNetwork
from train.tabular.training import table_training

pytestmark = pytest.mark.slow  # whole commands, or as long as these

PLACES = ("Brazil", "Ghana", "Japan")


def write_table(file: Path, n: int = 1000, seed: int = 0) -> Path:
    """A CSV of n songs, three a artist: the class shifts two of four numbers; the rest is dirt.

    A text column, a constant one, one that numbers the rows, and 5 % missing cells.
    """
    rng = np.random.default_rng(seed)
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(
            ["number", "track_id", "artist", "danceability", "tempo", "energy", "loudness",
             "mode", "title", "country"]
        )  # fmt: skip
        for i in range(n):
            label = (i // 3) % 3
            cells = rng.normal(size=4) * [0.1, 20, 1, 3] + [0.5 + 0.2 * label, 110, 0, -9]
            cells[1] += 40 * (label == 2)
            texts = ["" if rng.random() < 0.05 else f"{cell:.4f}" for cell in cells]
            writer.writerow([i, f"t{i}", f"a{i // 3}", *texts, "1", f"song {i}", PLACES[label]])
    return file


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`write_table` with 1,000 rows."""
    return write_table(tmp_path_factory.mktemp("tables") / "songs.csv")


def train(songs: Path, out: Path, *options: object) -> Run:
    """`python main.py` on the table."""
    done = run_script(
        "main.py", "--data", songs, "--label", "country", "--group", "artist", "--folds", 3,
        "--out", out, *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Run(out / "latest", done.stdout)


@pytest.fixture(scope="module")
def network(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`fcnn` on the songs."""
    out = tmp_path_factory.mktemp("runs")
    return train(songs, out, "--model", "fcnn", "--epochs", 6, "--learning-rate", 0.05)


def test_what_is_dropped_and_filled_is_said(network: Run) -> None:
    notes = [line for line in network.stdout.splitlines() if line.startswith("note: ")]
    assert "note: left out 1 columns, text: title" in notes
    assert "note: left out 1 columns, constant: mode" in notes
    assert "note: left out 1 columns, numbers of rows: number" in notes
    (gaps,) = (line for line in notes if "missing cells in 4 columns" in line)
    assert 150 < int(gaps.split()[1]) < 250  # 5 % of 4,000


def test_a_table_has_rows_and_no_pictures(network: Run) -> None:
    [answer] = [line for line in network.stdout.splitlines() if line.startswith("test accuracy")]
    assert answer.endswith("groups") and " rows of " in answer
    for name in ("report.html", "model_card.md"):
        assert "icture" not in (network.folder / name).read_text(encoding="utf-8"), name


def test_a_run_writes_what_a_run_on_pictures_writes(network: Run) -> None:
    for name in ("model.pth", "model.onnx", "report.html", "metrics.json", "predictions.csv",
                 "split.csv", "config.yaml", "history.csv", "model_card.md"):  # fmt: skip
        assert (network.folder / name).stat().st_size > 0
    metrics = json.loads((network.folder / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.75 > 2 * metrics["test"]["majority_baseline"]
    assert "artist" in (network.folder / "config.yaml").read_text()
    with (network.folder / "split.csv").open(newline="") as lines:
        parts: dict[str, set[str]] = {}
        for row in csv.DictReader(lines):
            parts.setdefault(row["group"], set()).add(row["split"])
    assert len(parts) == 334 and all(len(part) == 1 for part in parts.values())


@pytest.mark.parametrize("kind", ["pth", "onnx"])
def test_predict_answers_as_the_test_did(network: Run, songs: Path, kind: str) -> None:
    done = run_script("predict.py", network.folder / f"model.{kind}", songs, "--jsonl")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 1000
    found = {answer["path"]: answer["probabilities"] for answer in answers}
    with (network.folder / "predictions.csv").open(newline="") as lines:
        tested = [row for row in csv.DictReader(lines) if row["split"] == "test"]
    for row in tested:
        for name in PLACES:
            assert found[row["path"]][name] == pytest.approx(float(row[name]), abs=1e-4)


def test_a_baseline_is_compared_on_the_same_split(
    network: Run, songs: Path, tmp_path: Path
) -> None:
    baseline = train(
        songs, tmp_path, "--model", "logistic", "--split", network.folder / "split.csv"
    )
    runs = [read_run(run.folder, measure=True) for run in (network, baseline)]
    text = compare(runs, tmp_path / "comparison", ensemble=True)
    assert "fcnn" in text and "logistic" in text and "ensemble of 2" in text
    assert all(run.images_per_second for run in runs)


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_learn_and_keep_their_answers_as_plain_programs(name: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(150, 5)).astype(np.float32)
    labels = (values[:, 0] > 0.4).astype(np.int64) + (values[:, 0] > -0.4)
    values[rng.random(values.shape) < 0.03] = np.nan
    folds = [(np.arange(100), np.arange(100, 150))]
    fold, whole = fit_baselines(name, values, labels, folds, refit=True, seed=0)
    assert (fold.history[0].validation_accuracy or 0) > 0.7
    assert fold.best_weights["program"].dtype == torch.uint8
    assert whole.history[0].validation_loss is None


def test_standardisation_knows_what_was_trained_on_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(5, 3, size=(90, 2)).astype(np.float32))
    rows[3, 0] = torch.nan
    layer = Standardise(2)
    for part in rows.split(32):
        layer(part)
    layer.eval()
    layer(torch.full((50, 2), 1e6))  # tested rows: nothing is learnt from them
    known = rows.double().numpy()
    expected = (known - np.nanmean(known, axis=0)) / np.nanstd(known, axis=0)
    np.testing.assert_allclose(layer(rows).numpy(), np.nan_to_num(expected), atol=1e-5)


def test_the_network_is_the_sources() -> None:
    network = TableNetwork(13, 57, dropout=0.3)
    assert sum(p.numel() for p in network.parameters()) == 49_337
    widths = [m.out_features for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert widths == [256, 128, 64, 57]


def test_coordinates_give_countries_and_are_no_features(tmp_path: Path) -> None:
    """As UCI's "Geographical Original of Music": no header, the last two columns coordinates."""
    file = tmp_path / "default_features_1059_tracks.txt"
    rng = np.random.default_rng(0)
    places = {"Japan": (35.7, 139.7), "Brazil": (-15.8, -47.9)}
    lines = [[*rng.normal(size=4), *places[name]] for name in ("Japan", "Brazil") * 5]
    file.write_text("\n".join(",".join(f"{cell:.4f}" for cell in line) for line in lines))
    table = read_table(file, "country", "group")
    assert table.examples.classes == ("Brazil", "Japan")
    assert table.examples.labels.tolist() == [1, 0] * 5
    assert table.columns == ("feature_1", "feature_2", "feature_3", "feature_4")


def test_rows_without_coordinates_have_no_country(tmp_path: Path) -> None:
    """Most of FMA's artists have none."""
    file = tmp_path / "artists.csv"
    lines = [f"{i},{i * i},{place}" for i in range(5) for place in ("35.7,139.7", "-15.8,-47.9")]
    lines += ["1,1,,", "2,2,nan,nan", "3,3,48.9,", "4,4,inf,0"]
    file.write_text("\n".join(("a,b,latitude,longitude", *lines)))
    table = read_table(file, "country", "group")
    assert table.examples.classes == ("Brazil", "Japan")
    assert len(table.examples.labels) == 10


@pytest.mark.parametrize(
    "text, options, expected",
    [
        ("", (), "is empty"),
        ("a,b\n1,2\n", ("--label", "genre"), "--label genre: .* has no such column; it has a, b"),
        ("a,label\n1,x\n2,y\n", ("--group", "artist"), "--group artist: .* has no such column"),
        ("a,label\n1,x\n2,x\n", (), "column label needs at least two classes; it has x"),
        ("a,label\n1,x\n2\n", (), "line 3 has 1 cells, not 2"),
        ("a,label\nu,x\nv,y\n", (), "has no column of numbers"),
        ("a,label\n3,x\n1,y\n", ("--model", "resnet50"), "is classified by fcnn, logistic"),
    ],
)  # fmt: skip
def test_a_bad_table_is_one_line(
    tmp_path: Path, text: str, options: tuple[str, ...], expected: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from main import main

    (tmp_path / "t.csv").write_text(text)
    monkeypatch.setattr("sys.argv", ["main.py", "--data", str(tmp_path / "t.csv"), *options])
    with pytest.raises(ValueError, match=expected):
        main()


def test_prediction_names_missing_columns_and_bad_cells(network: Run, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("danceability,tempo\n0.5,100\n")
    (tmp_path / "bad.csv").write_text("danceability,tempo,energy,loudness\n0.5,fast,1,2\n")
    done = run_script(
        "predict.py", network.folder / "model.onnx", tmp_path / "other.csv", tmp_path / "bad.csv"
    )
    assert done.returncode == 1
    assert "lacks the model's columns energy, loudness" in done.stderr
    assert "bad.csv line 2: tempo is 'fast', not a number" in done.stderr


def test_a_table_is_compared_with_pictures_of_the_same_recordings(
    trained: Run, stripes: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    lines = ["path,label,group,brightness,noise"]
    for picture in sorted(stripes.rglob("*__0.png")):
        label, name = picture.parent.name, picture.name.split("__")[0]
        level = {"high": 2.0, "low": 0.0, "middle": 1.0}[label] + rng.normal() / 10
        lines.append(f"{label}/{name}.wav,{label},{name},{level},{rng.normal()}")
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    done = run_script(
        "main.py", "--data", tmp_path / "rows.csv", "--model", "logistic", "--out", tmp_path,
        "--split", trained.folder / "split.csv",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs = [read_run(run, measure=False) for run in (trained.folder, tmp_path / "latest")]
    pictures, rows = (whole_recordings(run) for run in runs)
    assert len(pictures.split.part) == 24 and pictures.split.part == rows.split.part
    assert pictures.paths.tolist() == rows.paths.tolist()
    text = compare(runs, tmp_path / "comparison", ensemble=False)
    assert f"exchange of {len(rows.paths)} whole groups" in text


def test_a_small_table_is_learnt_by_the_defaults(tmp_path: Path) -> None:
    """Ten rows of each of ten classes, whose means differ: by fine-tuning's defaults 1 of 10."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(10, 40))
    file = tmp_path / "features.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["label", *(f"f{i}" for i in range(40))])
        for i in range(100):
            cells = 100 + 50 * (middles[i % 10] + rng.normal(size=40))
            writer.writerow([f"class{i % 10}", *cells.round(3)])
    config = with_defaults(TrainConfig(final="best"), given=())
    training = table_training(file, DataConfig(data=str(file), folds=2), config)
    folds = training.fit(training.trainer(tmp_path / "run", Silent()))
    accuracies = [fold.history[fold.best_row].validation_accuracy or 0.0 for fold in folds]
    assert np.mean(accuracies) > 0.6


def test_an_option_that_is_given_is_no_default_of_tables() -> None:
    config = with_defaults(TrainConfig(epochs=10), given=["epochs"])
    assert (config.epochs, config.patience, config.learning_rate) == (10, 20, 0.1)


def test_a_tables_network_starts_from_the_seed_alone(tmp_path: Path) -> None:
    """Whatever drew random numbers before: else --resume finds that the start has changed."""
    file = tmp_path / "t.csv"
    rows = [f"{i}.wav,{'ab'[i % 2]},{i},{i * i % 7}" for i in range(40)]
    file.write_text("\n".join(["path,label,x,y", *rows]))

    def digest(seed: int) -> str:
        torch.rand(3)  # as an import or another stage may
        training = table_training(file, DataConfig(folds=2), TrainConfig(seed=seed))
        return weights_digest(training.model.state_dict())

    assert digest(0) == digest(0)
    assert digest(0) != digest(1)
