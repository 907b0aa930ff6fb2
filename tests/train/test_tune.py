"""python -m train.tune: honest, resumable, shared, and its result trains."""

import csv
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from sklearn.metrics import log_loss
from sqlalchemy import event

from data.config import DataConfig
from data.images.loader import Pictures
from tests.helpers import TINY, interrupt, run_module, run_script, start_module
from tests.warm import Command
from train.config import TrainConfig
from train.tune import study as study_module
from train.tune.config import TuneConfig
from train.tune.search import tune
from train.tune.search_space import OF_ALL, OF_FINETUNING, OF_HEADS, held_out, space_for, within
from train.tune.study import best, finished, open_study, release, write_findings

pytestmark = pytest.mark.slow  # whole commands, or as long as these

FAST = ("--folds", "2", "--epochs", "1", "--batch-size", "8", "--dropout", "0.1",
        "--only", "learning_rate,dropout,crop_time")  # fmt: skip


def begin(folder: Path, storage: Path, n_trials: int, *more: object) -> Command:
    arguments = ("--data", folder, "--storage", storage, "--trials", n_trials, *TINY, *FAST, *more)
    return start_module("train.tune", *arguments)


def search(
    folder: Path, storage: Path, n_trials: int, *more: object
) -> subprocess.CompletedProcess[str]:
    return begin(folder, storage, n_trials, *more).finish()


def trials(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def searched(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a search of five trials, by two processes at a time, and what they said."""
    folder = tmp_path_factory.mktemp("searched")
    both = [begin(stripes, folder / "search.db", 5) for _ in range(2)]
    done = [command.finish() for command in both]
    assert [one.returncode for one in done] == [0, 0], done
    return folder, "".join(one.stdout for one in done)


def test_processes_share_the_trials(searched: tuple[Path, str]) -> None:
    folder, said = searched
    rows = trials(folder)
    assert 5 <= len(rows) <= 6  # both may have been in their last one
    assert [row["trial"] for row in rows] == [str(i) for i in range(len(rows))]
    assert len({(row["learning_rate"], row["crop_time"]) for row in rows}) == len(rows)
    assert all(said.count(f"trial {i}  ") == 1 for i in range(5))
    assert float(rows[0]["learning_rate"]) == 0.003  # begins with what is given


def test_what_was_found_trains_unchanged_on_the_same_split(
    searched: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = searched
    found = yaml.safe_load((folder / "best.yaml").read_text())
    rows = [row for row in trials(folder) if row["state"] == "complete"]
    row = min(rows, key=lambda row: float(row["loss"]))
    assert found["learning_rate"] == pytest.approx(float(row["learning_rate"]))
    assert found["epochs"] == 1 and found["folds"] == 2
    done = run_script("main.py", "--config", folder / "best.yaml", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    split = (tmp_path / "latest/split.csv").read_text()
    assert split == (folder / "split.csv").read_text()


def test_a_waiting_trial_goes_to_one_process_alone(tmp_path: Path) -> None:
    """SQLite knows no SELECT FOR UPDATE: two processes began the first trial and one failed."""
    n_trials, workers = 40, 4
    studies = [open_study(tmp_path / "search.db", {}, {}, seed=1) for _ in range(workers)]
    for i in range(n_trials):
        studies[0].enqueue_trial({"rate": i})

    def ask(study: optuna.Study) -> list[int]:
        return [study.ask().number for _ in range(n_trials // workers)]

    with ThreadPoolExecutor(workers) as pool:
        asked = [number for numbers in pool.map(ask, studies) for number in numbers]
    assert sorted(asked) == list(range(n_trials))


def test_it_goes_on_after_an_interruption(stripes: Path, tmp_path: Path) -> None:
    storage = tmp_path / "search.db"
    stderr = interrupt(begin(stripes, storage, 50), "trial 1 ")
    assert stderr == "interrupted; the same command goes on\n"
    n_done = len(trials(tmp_path))
    assert n_done >= 2 and (tmp_path / "best.yaml").is_file()
    again = search(stripes, storage, n_done + 1)
    assert again.returncode == 0, again.stderr
    assert f"{n_done} trials are done" in again.stdout
    assert len(trials(tmp_path)) == n_done + 1
    other = search(stripes, storage, 9, "--folds", "3")
    assert other.returncode == 1
    assert len(other.stderr.splitlines()) == 1 and "folds was 2" in other.stderr


@pytest.mark.parametrize("when", ["before_cursor_execute", "after_cursor_execute"])
def test_an_interruption_within_a_transaction_keeps_no_lock(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C at each of the first statements of a trial: what was found is read at once."""
    monkeypatch.setattr(study_module, "WAIT_S", 0.1)
    study = open_study(tmp_path / "search.db", {}, {"x": 1.0}, 1)
    study.tell(study.ask(), 0.5)
    engine = study._storage._backend.engine
    for n in range(1, 13):
        counter = count()

        def interrupted(*_: object, counter: Iterator[int] = counter, n: int = n) -> None:
            if next(counter) == n:
                raise KeyboardInterrupt

        event.listen(engine, when, interrupted)
        with suppress(KeyboardInterrupt):
            trial = study.ask()
            trial.suggest_float("x", 0, 2)
            study.tell(trial, 1.0)
        event.remove(engine, when, interrupted)
        release(study)
        found = best(study)
        assert found is not None and found.value == 0.5


@pytest.mark.parametrize("pretrained", [False, True])
def test_no_trial_asks_for_a_test_picture(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pretrained: bool
) -> None:
    """Nor do the embeddings of heads, which all trials share."""
    asked: set[int] = set()
    batches = Pictures.batches

    def seen(self: Pictures, positions: np.ndarray, **options: object) -> object:
        asked.update(positions.tolist())
        return batches(self, positions, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Pictures, "batches", seen)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = TrainConfig(
        model=None if pretrained else "test_efficientnet", pretrained=pretrained, epochs=1,
        head_epochs=2, batch_size=8, accelerator="cpu",
    )  # fmt: skip
    storage = tmp_path / "search.db"
    tuned = TuneConfig(trials=2, storage=str(storage), only="dropout")
    cache = tmp_path / "cache"
    pictures = DataConfig(data=str(stripes), folds=2, image_size="64", cache=str(cache))
    assert tune(tuned, pictures, config) == 0
    with (tmp_path / "split.csv").open(newline="") as lines:
        parts = [row["split"] for row in csv.DictReader(lines)]
    assert asked == {i for i, part in enumerate(parts) if part != "test"}
    assert 0 < parts.count("test") < len(parts)
    embedded = [entry for entry in cache.glob("embeddings/*") if entry.is_dir()]
    assert len(embedded) == pretrained


def test_only_what_changes_something_is_searched() -> None:
    heads = TrainConfig(finetune="none")
    assert space_for(heads, (), ()).keys() == OF_ALL.keys() | OF_HEADS.keys()
    tuned = TrainConfig(finetune="last:4", head_epochs=0)
    space = space_for(tuned, ("a", "b"), ())
    assert space.keys() == OF_ALL.keys() | OF_FINETUNING.keys() | {"model"}
    assert "last:4" in space["finetune"]  # type: ignore[operator]
    assert space.keys() <= (vars(tuned) | vars(DataConfig())).keys()
    assert space_for(heads, (), ("dropout",)).keys() == {"dropout"}
    with pytest.raises(ValueError, match=r"--only mixup: .* dropout"):
        space_for(heads, (), ("mixup",))
    options = vars(DataConfig()) | vars(tuned) | {"dropout": 0.95, "model": "c"}
    first = within(space, options)
    assert first.keys() == space.keys() - {"model"}
    assert (first["dropout"], first["finetune"], first["crop_time"]) == (0.9, "last:4", 0.5)


def test_the_loss_does_not_depend_on_how_sure_the_answers_sound() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    logits = 2 * np.eye(4)[labels] + rng.normal(size=(300, 4))
    loss, accuracy = held_out(logits, labels)
    assert held_out(7 * logits, labels) == pytest.approx((loss, accuracy), rel=1e-4)
    losses = [
        log_loss(labels, np.exp(t * logits) / np.exp(t * logits).sum(axis=1, keepdims=True))
        for t in np.linspace(0.5, 3, 200)
    ]
    assert loss == pytest.approx(min(losses), abs=1e-4)
    assert accuracy == (logits.argmax(axis=1) == labels).mean()


def test_a_hopeless_trial_is_stopped_and_an_important_option_seen(tmp_path: Path) -> None:
    study = open_study(tmp_path / "search.db", {"folds": 2}, {"a": 0.5, "b": 0.5}, seed=0)
    for _ in range(12):
        trial = study.ask()
        a, _b = trial.suggest_float("a", 0, 1), trial.suggest_float("b", 0, 1)
        trial.set_user_attr("loss", a)
        trial.set_user_attr("accuracy", 1 - a)
        trial.report(a, 1)
        study.tell(trial, a)
    hopeless = study.ask()
    hopeless.report(2.0, 1)
    assert hopeless.should_prune()
    study.tell(hopeless, state=optuna.trial.TrialState.PRUNED)
    fine = study.ask()
    fine.report(0.0, 1)
    assert not fine.should_prune()
    assert finished(study)[0].params == {"a": 0.5, "b": 0.5}
    found = best(study)
    assert found is not None and found.value == min(t.value for t in finished(study)[:12])
    write_findings(study, tmp_path, {"a": 9.0, "folds": 2})
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == {"folds": 2} | found.params
    assert (tmp_path / "importances.png").stat().st_size > 1000
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    assert next(iter(shares)) == "a" and shares["a"] > 0.8


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("label,a\nx,1\n")
    (tmp_path / "search.db").write_text("no database")
    for arguments, code, part in (
        (["--trials", 0], 2, "--trials 0"),
        (["--data", tmp_path / "t.csv"], 1, "is a table"),
        (["--data", tmp_path / "no"], 1, "no image folder"),
    ):
        done = run_module("train.tune", *arguments)
        assert done.returncode == code, done.stderr
        assert len(done.stderr.splitlines()) == 1 and part in done.stderr
    with pytest.raises(ValueError, match="is no storage of a search"):
        open_study(tmp_path / "search.db", {}, {}, seed=0)
