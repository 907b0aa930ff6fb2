"""Train a classifier on an image folder: k folds, one honest test, a model file that stands alone.

python main.py                            the pictures in spectrograms/, else the demo's
python main.py --data DIR --epochs 20     your own <class>/<picture> folders
python main.py --resume runs/latest       go on with an interrupted run
"""

import dataclasses
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from command import DONE, INTERRUPTED, SOME_LEFT_OUT, config_from, make_parser, run
from data.config import DataConfig, parse_size
from train.config import TrainConfig
from train.launch import start_all, starts_here
from train.preset import add_presets, with_preset

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Parse the flags, train, and say where the results are."""
    parser = make_parser("python main.py", (__doc__ or "").strip(), DataConfig, TrainConfig)
    parser.add_argument("--resume", help="folder of an interrupted run; takes no other option")
    add_presets(parser)
    args = parser.parse_args(with_preset(parser, sys.argv[1:]))
    resumed = Path(args.resume).resolve() if args.resume else None
    if resumed:
        if len(sys.argv) > 3:
            parser.error("--resume takes its options from the run's config.yaml: give no other")
        # A run that was killed while its report was being written has both a model and checkpoints.
        done = (resumed / "model.pth").exists() and not (resumed / "checkpoints").exists()
        if done or not (resumed / "config.yaml").is_file():
            raise ValueError(f"{args.resume} is no interrupted run: there is nothing to go on with")
        args = parser.parse_args(["--config", str(resumed / "config.yaml")])
    data_config, config = config_from(args, DataConfig), config_from(args, TrainConfig)
    if starts_here(config.devices, config.nodes) and not data_config.leak_check:
        return start_all(config.devices, config.nodes)
    return train(data_config, config, resumed)


def train(data_config: DataConfig, config: TrainConfig, resumed: Path | None) -> int:
    """Train as configured, in a new run folder or the one to go on with; returns an exit code."""
    started = time.monotonic()
    from data.folder import scan  # torch takes seconds to import, and --help does not need it
    from data.prepare import prepare
    from data.summary import table
    from train.classifier import wide
    from train.device import describe, make_fabric
    from train.ranks import agreed, first
    from train.stepping import check_optimizer
    from train.weights import RANDOM, backbone_with_weights

    root = Path(data_config.data or default_root())
    if root.suffix.lower() == ".csv" or root.is_file():
        return train_table(root, data_config, config, resumed, started)
    check_optimizer(config.optimizer)
    examples = scan(root, data_config.group)
    fabric = make_fabric(
        config.accelerator, config.precision, strategy=config.strategy,
        n_devices=1 if data_config.leak_check else config.devices, n_nodes=config.nodes,
    )  # fmt: skip
    size = parse_size(data_config.image_size) if data_config.image_size else None
    backbone, name, weights = backbone_with_weights(config, size)
    on_cpu = fabric.device.type == "cpu"
    config = config.settled(on_cpu=on_cpu, random_weights=weights == RANDOM)
    first_line = f"{name}, {weights}, {describe(fabric)}"
    print(first_line, flush=True)

    source = backbone.pretrained_cfg
    size = size or wide(backbone)
    with first(fabric):
        ready = prepare(
            examples, data_config, size=size, mean=tuple(source["mean"]), std=tuple(source["std"]),
            split_file=resumed / "split.csv" if resumed else data_config.split, seed=config.seed,
        )  # fmt: skip
    print(table(ready.rows), *(f"note: {note}" for note in ready.notes), sep="\n", flush=True)
    if data_config.leak_check:
        return leak_check(ready, fabric, backbone, config, data_config.folds)
    if config.find_rate:
        return find_rate(ready, fabric, backbone, config)
    if not resumed and fabric.is_global_zero:
        data_config = dataclasses.replace(data_config, data=str(root.resolve()))
        resumed = start_run(new_run(Path(config.out), name), data_config, config, ready)
    resumed = agreed(fabric, resumed)
    facts = facts_of(resumed, root, started) | {
        "backbone": name, "image": ready.spec, "first_line": first_line, "notes": ready.notes,
        "counts": ready.rows, "audit": ready.audit,
    }  # fmt: skip
    return train_folds(ready, fabric, backbone, config, facts, resumed)


def train_folds(
    ready: Any, fabric: Any, backbone: Any, config: TrainConfig, facts: dict[str, Any], folder: Path
) -> int:
    """Train every fold, test the best once and write the run's files; returns an exit code."""
    from train.finish import finish
    from train.folds import Trainer, cross_validate
    from train.logs import EpochLog

    options = dataclasses.asdict(config)
    log: Any = None
    if fabric.is_global_zero:
        log = EpochLog(folder, len(ready.folds), wandb=config.wandb, options=options)
    size = (ready.spec["width"], ready.spec["height"])
    n_classes = len(ready.examples.classes)
    trainer = Trainer.start(fabric, backbone, ready.pictures, n_classes, size, config, folder, log)
    try:
        finished = cross_validate(trainer, ready.folds)
    except KeyboardInterrupt:
        print(f"\ninterrupted; go on with: python main.py --resume {folder}", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        raise OSError(f"{error}; then go on with: python main.py --resume {folder}") from None
    finally:
        if log:
            log.close()
    if not fabric.is_global_zero:
        return DONE
    summary = finish(trainer, finished, ready.folds, ready.test, ready.examples, facts)
    print(*summary, f"report: {folder / 'report.html'}", sep="\n")
    print(f"predict: python predict.py {folder / 'model.pth'} PICTURE")
    return SOME_LEFT_OUT if ready.failures else DONE


def train_table(
    root: Path, data_config: DataConfig, config: TrainConfig, resumed: Path | None, started: float
) -> int:
    """Train a classifier of the rows of a CSV, as `train` does of pictures; an exit code."""
    from data.prepare_table import prepare_table
    from data.summary import table as class_table
    from data.table import read_table
    from train.device import describe, make_fabric
    from train.finish_table import finish_table
    from train.folds import Trainer, cross_validate
    from train.logs import EpochLog
    from train.tables import NETWORK, build, fit_baselines

    if config.devices * config.nodes > 1:
        raise ValueError("a table is trained by a single process: leave out --devices and --nodes")
    name = config.model or NETWORK
    if config.find_rate:
        raise ValueError("--find-rate: of a table's network no rate is suggested")
    if name != NETWORK and config.final in ("ensemble", "soup"):
        raise ValueError(f"--final {config.final}: only networks are averaged; take refit or best")
    table = read_table(root, data_config.label, data_config.group)
    n_columns, n_classes = len(table.columns), len(table.examples.classes)
    model = build(name, n_columns, n_classes, dropout=config.dropout)
    fabric = make_fabric(config.accelerator, "32-true")
    first_line = f"{name} of {n_columns} columns, {describe(fabric)}"
    print(first_line, flush=True)
    split_file = resumed / "split.csv" if resumed else data_config.split
    ready = prepare_table(table, data_config, split_file=split_file, seed=config.seed)
    print(class_table(ready.rows), *(f"note: {n}" for n in ready.notes), sep="\n", flush=True)
    if not resumed:
        data_config = dataclasses.replace(data_config, data=str(root.resolve()))
        resumed = start_run(new_run(Path(config.out), name), data_config, config, ready)
    config = dataclasses.replace(config, head_epochs=0)
    log = EpochLog(resumed, len(ready.folds), wandb=config.wandb, options=vars(config))
    trainer = Trainer(fabric, model, ready.pictures, config, resumed, log)
    try:
        if name == NETWORK:
            finished = cross_validate(trainer, ready.folds)
        else:
            finished = fit_baselines(
                name, table.values, table.examples.labels, ready.folds,
                refit=config.final == "refit", seed=config.seed,
            )  # fmt: skip
    except KeyboardInterrupt:
        print(f"\ninterrupted; go on with: python main.py --resume {resumed}", file=sys.stderr)
        return INTERRUPTED
    finally:
        log.close()
    facts = facts_of(resumed, root, started) | {
        "backbone": name, "image": ready.spec, "first_line": first_line, "notes": ready.notes,
        "counts": ready.rows, "audit": None,
    }  # fmt: skip
    summary = finish_table(trainer, finished, ready.folds, ready.test, ready.examples, facts)
    print(*summary, f"report: {resumed / 'report.html'}", sep="\n")
    print(f"predict: python predict.py {resumed / 'model.pth'} TABLE.csv")
    return DONE


def leak_check(ready: Any, fabric: Any, backbone: Any, config: TrainConfig, n_folds: int) -> int:
    """Say what splitting by picture instead of by group would add; returns an exit code."""
    from train.folds import Trainer
    from train.inference import apply
    from train.leak import leak_check, leak_lines

    usable = (~ready.examples.augmented).nonzero()[0]
    n_classes = len(ready.examples.classes)
    size = (ready.spec["width"], ready.spec["height"])
    trainer = Trainer.start(
        fabric, backbone, ready.pictures, n_classes, size, config, Path(config.out), None
    )
    trainer.model.to(fabric.device).eval()
    with fabric.autocast():
        rows = apply(trainer.model.features, trainer.batches(usable), fabric.device)
    labels, groups = ready.examples.labels[usable], ready.examples.groups[usable]
    found = leak_check(rows, labels, groups, n_folds=n_folds, seed=config.seed)
    print(*leak_lines(found), sep="\n")
    return SOME_LEFT_OUT if ready.failures else DONE


def find_rate(ready: Any, fabric: Any, backbone: Any, config: TrainConfig) -> int:
    """Suggest a learning rate, from the first fold's training part; returns an exit code."""
    from train.folds import Fold, Trainer
    from train.logs import Silent
    from train.rate_finder import find_and_draw

    size = (ready.spec["width"], ready.spec["height"])
    trainer = Trainer.start(
        fabric, backbone, ready.pictures, len(ready.examples.classes), size, config,
        Path(config.out), Silent(),
    )  # fmt: skip
    print(find_and_draw(trainer, Fold(1, *ready.folds[0])))
    return SOME_LEFT_OUT if ready.failures else DONE


def default_root() -> Path:
    """spectrograms/ here if it exists, else the demo that comes with the project."""
    own = Path("spectrograms")
    return own if own.is_dir() else HERE / "subsampled_data"


def new_run(out: Path, name: str) -> Path:
    """A new folder out/<date-time>-<backbone>, and out/latest pointing to it."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    folder, n = out / stem, 1
    while True:
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:  # two runs in one second
            n += 1
            folder = out / f"{stem}-{n}"
    latest = out / "latest"
    try:
        latest.unlink(missing_ok=True)
        latest.symlink_to(folder.name, target_is_directory=True)
    except OSError as error:  # a file system without links: the run is found by its name
        print(f"note: no link {latest} ({error.strerror})", file=sys.stderr)
    return folder


def start_run(folder: Path, data_config: DataConfig, config: TrainConfig, ready: Any) -> Path:
    """The folder, with config.yaml, which can be fed back, and split.csv written into it."""
    from data.splits import write_split

    options = dataclasses.asdict(data_config) | dataclasses.asdict(config)
    text = yaml.safe_dump(options, sort_keys=False)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    write_split(folder / "split.csv", ready.examples, ready.parts)
    return folder


def facts_of(folder: Path, root: Path, started: float) -> dict[str, Any]:
    """What the model file and the report say of the run beside its figures."""
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    settings = root / "render.json"
    render = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else None
    return {
        "title": f"{root.resolve().name}: how well it is told apart",
        "render": render,
        "config": yaml.safe_load(text),
        "config_text": text,
        "command": shlex.join(["python", "main.py", "--config", str(folder / "config.yaml")]),
        "started": started,
    }


if __name__ == "__main__":
    run(main)
