"""A search's storage, which several processes share, and the files that say what it found."""

import gc
import time
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, event

from common.files import write_csv, write_text
from common.plots import new_figure, save_figure

NAME = "search"
LEAST_TRIALS = 4  # finished ones, before importances mean anything
WAIT_S = 60.0  # for another process that is writing


def open_study(file: Path, facts: dict[str, Any], first: dict[str, Any], seed: int) -> optuna.Study:
    """The search in an SQLite file, a new one or that of earlier or other processes.

    facts: what must be the same for all its trials; first: the values of its first trial. Raises
    ValueError when the file holds another search.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Tables that two processes make at the same moment are an error for one of them.
    for wait in (0.5, 1.0, 2.0, None):
        try:
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{file.resolve().as_posix()}",
                engine_kwargs={"connect_args": {"timeout": WAIT_S}},
            )
            _lock_whole_transactions(storage.engine)
            study = optuna.create_study(storage=storage, study_name=NAME, load_if_exists=True)
            break
        except Exception as error:  # SQLAlchemy's many kinds
            if wait is None:
                reason = str(error).splitlines()[0]
                raise ValueError(f"{file} is no storage of a search ({reason})") from None
            time.sleep(wait)
    known = study.user_attrs.get("facts")
    if known is None:
        study.set_user_attr("facts", facts)
        study.enqueue_trial(first, skip_if_exists=True)
    elif other := [f"{k} was {known.get(k)}" for k in facts if known.get(k) != facts[k]]:
        raise ValueError(
            f"{file} holds another search ({'; '.join(other)}): give another --storage"
        )
    # Processes with the same seed would try the same values: each counts who came before.
    mine = f"process_{time.time_ns()}"
    study.set_user_attr(mine, time.strftime("%Y-%m-%d %H:%M:%S"))
    rank = sorted(name for name in study.user_attrs if name.startswith("process_")).index(mine)
    study.sampler = optuna.samplers.TPESampler(seed=1000 * seed + rank)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    return study


def _lock_whole_transactions(engine: Engine) -> None:
    """Let one process at a time read and write.

    Optuna gives a waiting trial to one process by SELECT FOR UPDATE, which SQLite does not know:
    two may get the same one (optuna/optuna#4621). The two listeners are SQLAlchemy's own recipe
    (its SQLite page, "Serializable isolation"), with the lock taken at once.
    """

    @event.listens_for(engine, "connect")
    def _(connection: Any, _: object) -> None:
        connection.isolation_level = None  # or pysqlite would begin transactions by itself

    @event.listens_for(engine, "begin")
    def _(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def release(study: optuna.Study) -> None:
    """Give up what an interruption within a transaction left open: it would lock the storage."""
    study._storage.remove_session()
    gc.collect()  # a connection that the session does not know yet is ended with the last frame


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that went to their end or were stopped as hopeless, in order."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def best(study: optuna.Study) -> FrozenTrial | None:
    """The best trial that went to its end, if there is one."""
    done = [trial for trial in finished(study) if trial.state == TrialState.COMPLETE]
    return min(done, key=lambda trial: (trial.value, trial.number), default=None)


def write_findings(study: optuna.Study, folder: Path, options: dict[str, Any]) -> FrozenTrial:
    """Write best.yaml, trials.csv and importances.png; the best trial.

    options: all options of main.py that were not searched. ValueError without a whole trial.
    """
    found = best(study)
    if found is None:
        raise ValueError("no trial went to its end: nothing was found")
    text = yaml.safe_dump(options | found.params, sort_keys=False)
    about = f"# trial {found.number} of {len(finished(study))}: {figures_of(found)}\n"
    write_text(folder / "best.yaml", about + text)
    _write_trials(study, folder / "trials.csv")
    whole = [trial for trial in finished(study) if trial.state == TrialState.COMPLETE]
    if len(whole) >= LEAST_TRIALS:
        _draw_importances(study, folder / "importances.png")
    return found


def figures_of(trial: FrozenTrial) -> str:
    """What the trial reached, in words."""
    attributes = trial.user_attrs
    if "loss" not in attributes:
        return "the loss was not a number"
    return f"validation loss {attributes['loss']:.3f}, accuracy {attributes['accuracy']:.3f}"


def _write_trials(study: optuna.Study, file: Path) -> None:
    trials = finished(study)
    names = sorted({name for trial in trials for name in trial.params})
    rows = []
    for trial in trials:
        figures = [trial.user_attrs.get(key, "") for key in ("folds", "loss", "accuracy")]
        searched = [trial.params.get(name, "") for name in names]
        rows.append([trial.number, trial.state.name.lower(), *figures, *searched])
    write_csv(file, ["trial", "state", "folds", "loss", "accuracy", *names], rows)


def _draw_importances(study: optuna.Study, file: Path) -> None:
    """How much of the differences between trials each option explains (fANOVA)."""
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    try:
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):  # all trials are equally good
        return
    names = list(reversed(shares))
    figure, axes = new_figure(6, 0.4 * len(names) + 1.2)
    axes.barh(names, [shares[name] for name in names], 0.7, color="#3b6ea5")
    axes.set_xlabel("part of the differences between trials that the option explains")
    axes.set_xlim(0, 1)
    save_figure(figure, file)
