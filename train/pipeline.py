"""Training end to end: get a network, prepare its data, train folds, test once, write the run."""

import copy
import functools
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.cli import DONE, INTERRUPTED, SOME_LEFT_OUT
from data.config import DataConfig, parse_size
from data.root import is_table, root_of
from train.config import TrainConfig
from train.run_folder import facts_of, new_run

if TYPE_CHECKING:  # torch takes seconds to import, and --help does not need it
    from lightning_fabric import Fabric

    from data.examples import Examples
    from data.prepare import Prepared
    from train.loop.cross_validation import Trainer
    from train.loop.fit import Progress


@dataclass(frozen=True)
class Job:
    """A network and what it is to learn.

    config: with all that the machine and the weights decide; unit: what an example is, "picture" or
    "row"; trainer: of a run folder and a log; fit: of that trainer, the progress of every fold;
    finish: as `train.report.run_files.finish`.
    """

    name: str
    first_line: str
    fabric: "Fabric"
    ready: "Prepared"
    config: TrainConfig
    unit: str
    trainer: Callable[[Path, Any], "Trainer"]
    fit: Callable[["Trainer"], list["Progress"]]
    finish: Callable[..., list[str]]


def train(data_config: DataConfig, config: TrainConfig, resumed: Path | None) -> int:
    """Train as configured, in a new run folder or the one to go on with; returns an exit code."""
    started = time.monotonic()
    root = root_of(data_config.data)
    split_file = str(resumed / "split.csv") if resumed else data_config.split
    data_config = replace(data_config, data=str(root.resolve()))
    make = of_table if is_table(root) else of_pictures
    job = make(root, replace(data_config, split=split_file), config)

    from data.splits import write_split
    from data.summary import table
    from train.devices.distributed import agreed

    notes = [f"note: {note}" for note in job.ready.notes]
    print(table(job.ready.rows, f"{job.unit}s"), *notes, sep="\n", flush=True)
    if data_config.leak_check or config.find_rate:
        return only_say(job, data_config)
    if not resumed and job.fabric.is_global_zero:
        options = asdict(data_config) | asdict(job.config)
        resumed = new_run(Path(config.out), job.name, options)
        write_split(resumed / "split.csv", job.ready.examples, job.ready.parts)
    folder = agreed(job.fabric, resumed)
    facts = facts_of(folder, root) | {
        "backbone": job.name, "inputs": job.ready.spec, "first_line": job.first_line,
        "notes": job.ready.notes, "counts": job.ready.rows, "audit": job.ready.audit or None,
        "started": started,
    }  # fmt: skip
    return train_folds(job, folder, facts)


@dataclass(frozen=True)
class Start:
    """A backbone and the pictures at its size, before anything is trained.

    first_line: of what is printed; config: with all that the machine and the weights decide.
    """

    backbone: Any
    name: str
    weights: str
    first_line: str
    config: TrainConfig
    ready: "Prepared"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the pictures as the backbone sees them."""
        return self.ready.pictures.spec.width, self.ready.pictures.spec.height

    def trainer(self, fabric: "Fabric", folder: Path, log: Any) -> "Trainer":
        """A trainer whose folds all start from this backbone."""
        from train.loop.cross_validation import Trainer

        pictures, n_classes = self.ready.pictures, len(self.ready.examples.classes)
        return Trainer.start(
            fabric, copy.deepcopy(self.backbone), pictures, n_classes, self.size, self.config,
            folder, log,
        )  # fmt: skip


def begin(
    examples: "Examples", data_config: DataConfig, config: TrainConfig, fabric: "Fabric"
) -> Start:
    """Get the backbone, say what it is, and prepare the pictures for it."""
    from data.prepare import prepare
    from train.devices.distributed import first
    from train.devices.fabric import describe
    from train.models.classifier import wide
    from train.models.pretrained import RANDOM, backbone_with_weights

    size = parse_size(data_config.image_size) if data_config.image_size else None
    backbone, name, weights = backbone_with_weights(config, size)
    on_cpu = fabric.device.type == "cpu"
    config = config.settled(on_cpu=on_cpu, random_weights=weights == RANDOM)
    first_line = f"{name}, {weights}, {describe(fabric)}"
    print(first_line, flush=True)
    source = backbone.pretrained_cfg
    with first(fabric):
        ready = prepare(
            examples, data_config, size=size or wide(backbone), mean=tuple(source["mean"]),
            std=tuple(source["std"]), split_file=data_config.split, seed=config.seed,
        )  # fmt: skip
    return Start(backbone, name, weights, first_line, config, ready)


def augmented(ready: "Prepared", data_config: DataConfig) -> "Prepared":
    """The same with pictures augmented as the options say."""
    from data.images.augment import augmentation_of

    augmentation = augmentation_of(data_config, [ready.audit["colour_map"]])
    return replace(ready, pictures=replace(ready.pictures, augmentation=augmentation))


def of_pictures(root: Path, data_config: DataConfig, config: TrainConfig) -> Job:
    """A pretrained network for an image folder."""
    from data.image_folder import scan
    from train.devices.fabric import make_fabric
    from train.loop.cross_validation import cross_validate
    from train.loop.optim import check_optimizer
    from train.report.run_files import finish

    check_optimizer(config.optimizer)
    examples = scan(root, data_config.group)
    fabric = make_fabric(
        config.accelerator, config.precision, strategy=config.strategy,
        n_devices=1 if data_config.leak_check else config.devices, n_nodes=config.nodes,
    )  # fmt: skip
    start = begin(examples, data_config, config, fabric)

    def fit(trainer: "Trainer") -> list["Progress"]:
        return cross_validate(trainer, start.ready.folds)

    return Job(
        start.name, start.first_line, fabric, start.ready, start.config, "picture",
        functools.partial(start.trainer, fabric), fit, finish,
    )  # fmt: skip


def of_table(root: Path, data_config: DataConfig, config: TrainConfig) -> Job:
    """A network, or a model of scikit-learn's, for the rows of a CSV."""
    from data.tabular.prepare import prepare_table
    from data.tabular.table import read_table
    from train.devices.fabric import describe, make_fabric
    from train.loop.cross_validation import Trainer
    from train.tabular.models import NETWORK, build, check_options, fit_table
    from train.tabular.run_files import finish_table

    name = config.model or NETWORK
    check_options(name, config, leak_check=data_config.leak_check)
    table = read_table(root, data_config.label, data_config.group)
    n_columns = len(table.columns)
    model = build(name, n_columns, len(table.examples.classes), dropout=config.dropout)
    fabric = make_fabric(config.accelerator, "32-true")
    first_line = f"{name} of {n_columns} columns, {describe(fabric)}"
    print(first_line, flush=True)
    ready = prepare_table(table, data_config, split_file=data_config.split, seed=config.seed)

    def trainer(folder: Path, log: Any) -> Trainer:
        return Trainer(fabric, model, ready.pictures, replace(config, head_epochs=0), folder, log)

    def fit(trainer: Trainer) -> list["Progress"]:
        return fit_table(trainer, name, table.values, ready.folds)

    return Job(name, first_line, fabric, ready, config, "row", trainer, fit, finish_table)


def train_folds(job: Job, folder: Path, facts: dict[str, Any]) -> int:
    """Train every fold, test the model once and write the run's files; returns an exit code."""
    from train.loop.loggers import EpochLog

    ready, speaks = job.ready, job.fabric.is_global_zero
    log: Any = None
    if speaks:
        options = asdict(job.config)
        log = EpochLog(folder, len(ready.folds), wandb=job.config.wandb, options=options)
    trainer = job.trainer(folder, log)
    try:
        finished = job.fit(trainer)
    except KeyboardInterrupt:
        print(f"\ninterrupted; go on with: python main.py --resume {folder}", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        raise OSError(f"{error}; then go on with: python main.py --resume {folder}") from None
    finally:
        if log:
            log.close()
    if not speaks:
        return DONE
    summary = job.finish(trainer, finished, ready.folds, ready.test, ready.examples, facts)
    print(*summary, f"report: {folder / 'report.html'}", sep="\n")
    example = "TABLE.csv" if job.unit == "row" else "PICTURE"
    print(f"predict: python predict.py {folder / 'model.pth'} {example}")
    return SOME_LEFT_OUT if ready.failures else DONE


def only_say(job: Job, data_config: DataConfig) -> int:
    """Print what --leak-check or --find-rate asks for; returns an exit code."""
    from train.evaluate.leakage import leak_report
    from train.loop.cross_validation import Fold
    from train.loop.loggers import Silent
    from train.loop.lr_finder import find_and_draw

    trainer = job.trainer(Path(job.config.out), Silent())
    if data_config.leak_check:
        print(*leak_report(trainer, job.ready.examples, data_config.folds), sep="\n")
    else:
        print(find_and_draw(trainer, Fold(1, *job.ready.folds[0])))
    return SOME_LEFT_OUT if job.ready.failures else DONE
