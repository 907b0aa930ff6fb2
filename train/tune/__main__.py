"""Search for good options of main.py, by cross-validation on all but the test part.

python -m train.tune --data DIR --trials 50             go on with --trials 100, or after Ctrl-C
python -m train.tune --data DIR --trials 50 &           several processes share the storage
python main.py --config runs/tune/best.yaml             train with what was found

The test part is fixed first, in split.csv beside the storage, and best.yaml keeps it.
"""

# Like main.py, this command joins the folders data and train; no file there imports it.

import functools
import hashlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.cli import DONE, INTERRUPTED, config_from, make_parser, option, run
from data.config import DataConfig
from data.root import check_given, is_table, root_of
from train.config import TrainConfig

if TYPE_CHECKING:
    import optuna

    from data.prepare import PreparedPictures
    from train.loop.cross_validation import Trainer
    from train.pipeline import PictureTraining
    from train.tune.search_space import Space

LEFT_OUT = ("out", "wandb", "accelerator", "workers", "cache", "cache_limit")  # change no value


@dataclass(frozen=True)
class TuneConfig:
    """Search"""

    trials: int = option(30, "how many trials in all, with those that the storage already has")
    storage: str = option("runs/tune/search.db", "SQLite file; what is found is written beside it")
    backbones: str | None = option(None, "also choose one of these, as resnet50,convnext_tiny")
    only: str | None = option(None, "search these options alone, as dropout,batch_size")
    minimise: Literal["loss", "error"] = option("loss", "of the held-out pictures of all folds")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        if self.trials < 1:
            raise ValueError(f"--trials {self.trials}: at least 1")


@dataclass(frozen=True)
class Base:
    """A backbone with the pictures at its size, and what embeds them once for all trials."""

    start: "PictureTraining"
    embedder: "Trainer"


@dataclass(frozen=True)
class Search:
    """What all trials share. base_of: of a backbone's name, or of the first one for None."""

    study: "optuna.Study"
    space: "Space"
    base_of: Callable[[str | None], Base]
    data_config: DataConfig
    minimise: str


def main() -> int:
    """Parse, search, write what was found; returns an exit code."""
    parser = make_parser(
        "python -m train.tune", (__doc__ or "").strip(), TuneConfig, DataConfig, TrainConfig
    )
    args = parser.parse_args()
    tune_config = config_from(args, TuneConfig)
    return tune(tune_config, config_from(args, DataConfig), config_from(args, TrainConfig))


def tune(tune_config: TuneConfig, data_config: DataConfig, config: TrainConfig) -> int:
    """Search until the storage has so many trials; returns an exit code."""
    root = root_of(data_config.data)
    check_given(root, data_config.split)
    if is_table(root):
        raise ValueError(f"{root} is a table: only options of networks of pictures are searched")

    from train.devices.fabric import make_fabric
    from train.tune.search_space import space_for, within
    from train.tune.study import best, finished, open_study

    data_config = replace(data_config, data=str(root.resolve()))
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
    if code == DONE or best(study):
        _say_what_was_found(study, folder, options)
    return code


def _try(search: Search) -> str:
    """Train all folds with new values, unless the first ones are hopeless; a line that says so."""
    import optuna
    from optuna.trial import TrialState

    from train.tune.search_space import suggest
    from train.tune.study import figures_of

    trial = search.study.ask()
    state, value = TrialState.FAIL, None
    try:
        values = suggest(trial, search.space)
        value, state = _value(search, trial, values), TrialState.COMPLETE
    except optuna.TrialPruned:
        state = TrialState.PRUNED
    finally:
        done = search.study.tell(trial, value, state)
    what = ", ".join(f"{name} {_short(value)}" for name, value in values.items())
    stopped = f", stopped after fold {done.user_attrs.get('folds', 1)}"
    said = figures_of(done) + (stopped if state == TrialState.PRUNED else "")
    return f"trial {trial.number}  {said}  ({what})"


def _value(search: Search, trial: "optuna.Trial", values: dict[str, Any]) -> float:
    """What is minimised, over all folds; TrialPruned as soon as it is hopeless."""
    import optuna

    from train.loop.loggers import Silent
    from train.tune.search_space import changed, try_folds

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


def _say_what_was_found(study: "optuna.Study", folder: Path, options: dict[str, Any]) -> None:
    from train.tune.study import figures_of, write_findings

    found = write_findings(study, folder, options)
    print(f"best: trial {found.number}, {figures_of(found)}")
    print(f"train with it: python main.py --config {folder / 'best.yaml'}")


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def _base(
    model: str | None, fabric: Any, data_config: DataConfig, config: TrainConfig, folder: Path
) -> Base:
    """The backbone with the pictures at its size, split as folder/split.csv, made if it is new."""
    from data.image_folder import scan
    from data.split_file import write_split
    from data.summary import class_table
    from train.loop.loggers import Silent
    from train.pipeline import prepare_pictures

    split_file = folder / "split.csv"
    known = split_file.is_file()
    if known:
        data_config = replace(data_config, split=str(split_file))
    examples = scan(root_of(data_config.data), data_config.group)
    start = prepare_pictures(examples, data_config, replace(config, model=model), fabric)
    start = replace(start, config=replace(start.config, model=start.name))
    ready = start.ready
    if not known:
        write_split(split_file, ready.examples, ready.split)
        notes = (f"note: {note}" for note in ready.notes)
        print(class_table(ready.class_counts), *notes, sep="\n", flush=True)
    mark = _fingerprint(ready, start.name, start.weights, config.pooling)
    kept = folder / "embeddings" / f"{start.name}-{mark}"
    kept.mkdir(parents=True, exist_ok=True)
    return Base(start, start.trainer(kept, Silent()))


def _facts(options: dict[str, Any], space: "Space", base: Base, minimise: str) -> dict[str, Any]:
    """What must be the same for all trials of a storage, as plain data."""
    facts = {name: value for name, value in options.items() if name not in LEFT_OUT}
    searched = {name: str(values) for name, values in space.items()}
    return facts | {
        "searched": searched,
        "minimise": minimise,
        "pictures": _fingerprint(base.start.ready),
    }


def _fingerprint(ready: "PreparedPictures", *more: object) -> str:
    """Of the pictures' names, sizes and parts, and of more: other pictures have other values."""
    examples, parts = ready.examples, ready.split.parts
    seen = hashlib.sha256(f"{ready.inputs} {more}".encode())
    for i, file in enumerate(examples.files()):
        seen.update(f"{examples.paths[i]} {file.stat().st_size} {[p[i] for p in parts]}".encode())
    return seen.hexdigest()[:12]


if __name__ == "__main__":
    run(main)
