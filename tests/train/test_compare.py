"""Runs are compared on the same examples only, and the verdict is the statistics' own."""

import csv
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from tests.helpers import Run, run_module, run_script
from train.compare.finished_run import read_run
from train.evaluate.paired_test import paired_test

pytestmark = pytest.mark.slow  # whole commands, or as long as these


@pytest.fixture(scope="module")
def second(stripes: Path, trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`small_cnn`, by its name alone, on the split of the first run."""
    out = tmp_path_factory.mktemp("second")
    done = run_script(
        "main.py", "--data", stripes, "--out", out, "--model", "small_cnn", "--image-size", "64x48",
        "--split", trained.folder / "split.csv", "--folds", 2, "--epochs", 3, "--batch-size", 8,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Run(out / "latest", done.stdout)


def compare(*args: object) -> subprocess.CompletedProcess[str]:
    """`python -m train.compare` as a person runs it."""
    return run_module("train.compare", *args)


def answers(run: Run) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(probabilities (n, 3), labels as numbers (n,), groups) of the tested pictures by path."""
    with (run.folder / "predictions.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "test"]
    rows.sort(key=lambda row: row["path"])
    names = ("high", "low", "middle")
    shares = np.array([[float(row[name]) for name in names] for row in rows])
    return shares, np.array([names.index(row["label"]) for row in rows]), [r["group"] for r in rows]


def test_table_figure_verdict_and_ensemble(trained: Run, second: Run, tmp_path: Path) -> None:
    done = compare(trained.folder, second.folder, "--ensemble", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "comparison.csv").open(newline="") as lines:
        rows = {row["model"]: row for row in csv.DictReader(lines)}
    assert rows.keys() == {"test_efficientnet", "small_cnn", "ensemble"}
    for run, name in ((trained, "test_efficientnet"), (second, "small_cnn")):
        metrics = json.loads((run.folder / "metrics.json").read_text())
        assert rows[name]["test accuracy"] == f"{metrics['test']['accuracy']:.3f}"
        assert rows[name]["macro F1"] == f"{metrics['test']['macro_f1']:.3f}"
        assert float(rows[name]["images/s"]) > 0
    # 64x48 pictures: 16 features for each of 3 classes behind 10,064 parameters
    assert rows["small_cnn"]["parameters"] == f"{10_064 + 3 * (16 + 1):,}"
    shares, labels, _ = answers(trained)
    mean = (shares + answers(second)[0]) / 2
    assert float(rows["ensemble"]["test accuracy"]) == pytest.approx(
        (mean.argmax(axis=1) == labels).mean(), abs=6e-4
    )
    text = (tmp_path / "comparison.md").read_text()
    assert "they differ in model: test_efficientnet" in text and "image_size: 64x64 " in text
    alone = f"with an effect in {trained.folder.resolve().name}, not in every run: "
    assert f"{alone}folds 2, repeats 1, test_fraction 0.2\n" in text and "None" not in text
    assert "differ in seed" not in text and "differ in split" not in text
    assert text.count("\n| ") == 4 and "exchange of" in text and "ensemble of 2" in text
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert page.count("<td>small_cnn</td>") == 1 and "they differ in model" in page
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_another_split_is_refused_and_its_groups_named(
    trained: Run, second: Run, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("model.pth", "metrics.json"):
        (other / name).write_bytes((second.folder / name).read_bytes())
    lines = (second.folder / "predictions.csv").read_text().splitlines()
    moved = [line.replace(",test,", ",1,") if ",low3," in line else line for line in lines]
    if moved == lines:  # low3 is not in the test part
        moved = [line.replace(",1,", ",test,").replace(",2,", ",test,") if ",low3," in line
                 else line for line in lines]  # fmt: skip
    (other / "predictions.csv").write_text("\n".join(moved) + "\n")
    done = compare(trained.folder, other, "--out", tmp_path / "none")
    assert done.returncode == 1
    assert "1 groups are not in the same part (low3)" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "none").exists()


def test_a_folder_that_is_no_run_is_named(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no finished run: it has no predictions\.csv, metr"):
        read_run(tmp_path, measure=False)
    for name in ("model.pth", "predictions.csv"):
        (tmp_path / name).write_bytes((trained.folder / name).read_bytes())
    for text in ("null", "[" * 100_000, '{"seconds": NaN, "cross_validation": {}}'):
        (tmp_path / "metrics.json").write_text(text)
        with pytest.raises(ValueError, match=r"is no metrics\.json of a finished run"):
            read_run(tmp_path, measure=False)


@pytest.mark.parametrize("won, lost", [(9, 1), (3, 3), (12, 0), (30, 14)])
def test_single_examples_give_mcnemars_exact_p(won: int, lost: int) -> None:
    a = np.array([True] * won + [False] * lost + [True] * 20)
    b = np.array([False] * won + [True] * lost + [True] * 20)
    difference, (low, high), p = paired_test(a, b, np.arange(len(a)))
    assert difference == pytest.approx((won - lost) / len(a))
    assert low < difference < high
    # beyond 16 differing groups signs are drawn: 20,000 draws are within 0.01 of the exact p
    assert p == pytest.approx(binomtest(won, won + lost).pvalue, abs=0.01 if won > 12 else 1e-9)


def test_examples_of_one_group_are_not_independent() -> None:
    """Ten clips of one song that one model gets right are one fact, not ten."""
    a, b = np.array([True] * 10 + [True] * 20), np.array([False] * 10 + [True] * 20)
    groups = np.array([0] * 10 + list(range(1, 21)))
    assert paired_test(a, b, np.arange(30))[2] == pytest.approx(2 / 2**10)
    assert paired_test(a, b, groups)[2] == 1.0


def test_under_no_difference_p_is_rarely_small() -> None:
    """Twelve groups of 5 alike examples, 400 times: p < 0.05 in about 5 of 100, not more."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(12), 5)
    small = 0
    for _ in range(400):
        skill = rng.uniform(0, 1, 12)[groups]
        a, b = rng.uniform(size=60) < skill, rng.uniform(size=60) < skill
        small += paired_test(a, b, groups)[2] < 0.05
    assert small / 400 < 0.075


def test_one_run_given_twice_is_no_comparison(trained: Run) -> None:
    """As `runs/*` gives runs/latest and the run that it points to."""
    done = compare(trained.folder, trained.folder.resolve())
    assert done.returncode == 2
    assert f"{trained.folder.resolve()} is the same run again" in done.stderr
