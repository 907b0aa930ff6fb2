"""A search for options: trials until there are enough, and what was found."""

import functools
import hashlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from lightning_fabric import Fabric
from optuna.trial import TrialState

from common.cli import DONE, INTERRUPTED
from data.config import DataConfig, root_of
from data.image_folder import scan
from data.prepare import PreparedPictures
from data.split_file import write_split
from data.summary import class_table, noted
from train.config import TrainConfig
from train.devices.fabric import make_fabric
from train.loop.loggers import Silent
from train.loop.trainer import Trainer
from train.pipeline import PictureTraining, prepare_pictures
from train.tune.config import TuneConfig
from train.tune.search_space import Space, changed, space_for, suggest, try_folds, within
from train.tune.study import best, figures_of, finished, open_study, release, write_findings

LEFT_OUT = ("out", "wandb", "accelerator", "workers", "cache", "cache_limit")  # change no value


@dataclass(frozen=True)
class Base:
    """A backbone with the pictures at its size, and what embeds them once for all trials."""

    start: PictureTraining
    embedder: Trainer


@dataclass(frozen=True)
class Search:
    """What all trials share. base_of: of a backbone's name, or of the first one for None."""

    study: optuna.Study
    space: Space
    base_of: Callable[[str | None], Base]
    data_config: DataConfig
    minimise: str


def tune(tune_config: TuneConfig, data_config: DataConfig, config: TrainConfig) -> int:
    """Search until the storage has so many trials; returns an exit code."""

    data_config = replace(data_config, data=str(root_of(data_config.data).resolve()))
    folder = Path(tune_config.storage).parent
    if not Path(tune_config.storage).exists():
        (folder / "split.csv").unlink(missing_ok=True)
    fabric = make_fabric(config.accelerator, config.precision)
    names = _names(tune_config.backbones)
    first = names[0] if names else config.model

    @functools.cache
    def base_of(name: str | None) -> Base:
        return _base(name, fabric, data_config, config, folder)

    base = base_of(first)
    space = space_for(base.start.config, names, _names(tune_config.only))
    options = asdict(data_config) | asdict(base.start.config)
    options["split"] = str((folder / "split.csv").resolve())
    facts = _facts(options, space, base, tune_config.minimise)
    study = open_study(Path(tune_config.storage), facts, within(space, options), config.seed)
    search = Search(
        study, space, lambda name: base_of(name or first), data_config, tune_config.minimise
    )
    print(f"searching {', '.join(space)}; {len(finished(study))} trials are done", flush=True)
    code = DONE
    try:
        while len(finished(study)) < tune_config.trials:
            print(_try(search), flush=True)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        code = INTERRUPTED
    if code == INTERRUPTED:
        release(study)
    if code == DONE or best(study):
        _say_what_was_found(study, folder, options)
    return code


def _try(search: Search) -> str:
    """Train all folds with new values, unless the first ones are hopeless; a line that says so."""

    trial = search.study.ask()
    state, value, interrupted = TrialState.FAIL, None, False
    try:
        values = suggest(trial, search.space)
        value, state = _value(search, trial, values), TrialState.COMPLETE
    except optuna.TrialPruned:
        state = TrialState.PRUNED
    except KeyboardInterrupt:
        interrupted = True
    finally:
        if interrupted:  # asked behind the clause, whose exception holds what is to be given up
            release(search.study)
        done = search.study.tell(trial, value, state)
    if interrupted:
        raise KeyboardInterrupt
    what = ", ".join(f"{name} {_short(value)}" for name, value in values.items())
    stopped = f", stopped after fold {done.user_attrs.get('folds', 1)}"
    said = figures_of(done) + (stopped if state == TrialState.PRUNED else "")
    return f"trial {trial.number}  {said}  ({what})"


def _value(search: Search, trial: optuna.Trial, values: dict[str, Any]) -> float:
    """What is minimised, over all folds; TrialPruned as soon as it is hopeless."""

    base = search.base_of(values.get("model"))
    start = replace(base.start, config=changed(base.start.config, values)).augmented(
        changed(search.data_config, values)
    )
    folds = start.ready.split.folds
    reached = [float("inf")]

    def report(number: int, loss: float, accuracy: float) -> None:
        for name, figure in (("folds", number), ("loss", loss), ("accuracy", accuracy)):
            trial.set_user_attr(name, figure)
        reached.append(loss if search.minimise == "loss" else 1 - accuracy)
        trial.report(reached[-1], number)
        if number < len(folds) and trial.should_prune():
            raise optuna.TrialPruned

    with tempfile.TemporaryDirectory() as scratch:
        trainer = start.trainer(Path(scratch), Silent())
        try_folds(trainer, folds, base.embedder, report)
    return reached[-1]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _say_what_was_found(study: optuna.Study, folder: Path, options: dict[str, Any]) -> None:

    found = write_findings(study, folder, options)
    print(f"best: trial {found.number}, {figures_of(found)}")
    print(f"train with it: python main.py --config {folder / 'best.yaml'}")


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def _base(
    model: str | None, fabric: Fabric, data_config: DataConfig, config: TrainConfig, folder: Path
) -> Base:
    """The backbone with the pictures at its size, split as folder/split.csv, made if it is new."""

    split_file = folder / "split.csv"
    known = split_file.is_file()
    if known:
        data_config = replace(data_config, split=str(split_file))
    examples = scan(root_of(data_config.data), data_config.group)
    if examples.several_labels:
        raise ValueError(f"{examples.root}: the search is made for songs of one label")
    start = prepare_pictures(examples, data_config, replace(config, model=model), fabric)
    start = replace(start, config=replace(start.config, model=start.name))
    ready = start.ready
    if not known:
        write_split(split_file, ready.examples, ready.split)
        print(class_table(ready.class_counts), *noted(ready.notes), sep="\n", flush=True)
    mark = _fingerprint(ready, start.name, start.weights, config.pooling)
    kept = folder / "embeddings" / f"{start.name}-{mark}"
    kept.mkdir(parents=True, exist_ok=True)
    return Base(start, start.trainer(kept, Silent()))


def _facts(options: dict[str, Any], space: Space, base: Base, minimise: str) -> dict[str, Any]:
    """What must be the same for all trials of a storage, as plain data."""
    facts = {name: value for name, value in options.items() if name not in LEFT_OUT}
    searched = {name: str(values) for name, values in space.items()}
    return facts | {
        "searched": searched,
        "minimise": minimise,
        "pictures": _fingerprint(base.start.ready),
    }


def _fingerprint(ready: PreparedPictures, *more: object) -> str:
    """Of the pictures' names, sizes and parts, and of more: other pictures have other values."""
    examples, parts = ready.examples, ready.split.parts
    seen = hashlib.sha256(f"{ready.inputs} {more}".encode())
    for i, file in enumerate(examples.files()):
        seen.update(f"{examples.paths[i]} {file.stat().st_size} {[p[i] for p in parts]}".encode())
    return seen.hexdigest()[:12]
