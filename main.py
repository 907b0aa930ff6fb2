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

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Parse the flags, train, and say where the results are."""
    parser = make_parser("python main.py", (__doc__ or "").strip(), DataConfig, TrainConfig)
    parser.add_argument("--resume", help="folder of an interrupted run; takes no other option")
    args = parser.parse_args()
    resumed = Path(args.resume).resolve() if args.resume else None
    if resumed:
        if len(sys.argv) > 3:
            parser.error("--resume takes its options from the run's config.yaml: give no other")
        if not (resumed / "config.yaml").is_file() or (resumed / "model.pth").exists():
            raise ValueError(f"{args.resume} is no interrupted run: there is nothing to go on with")
        args = parser.parse_args(["--config", str(resumed / "config.yaml")])
    return train(config_from(args, DataConfig), config_from(args, TrainConfig), resumed)


def train(data_config: DataConfig, config: TrainConfig, resumed: Path | None) -> int:
    """Train as configured, in a new run folder or the one to go on with; returns an exit code."""
    started = time.monotonic()
    from data.folder import scan  # torch takes seconds to import, and --help does not need it
    from data.prepare import prepare
    from data.summary import table
    from train.device import describe, make_fabric
    from train.finish import finish
    from train.folds import Trainer, cross_validate
    from train.logs import EpochLog
    from train.weights import RANDOM, backbone_with_weights

    root = Path(data_config.data or default_root())
    examples = scan(root, data_config.group)
    fabric = make_fabric(config.accelerator, config.precision)
    size = parse_size(data_config.image_size) if data_config.image_size else None
    backbone, name, weights = backbone_with_weights(config, size)
    if weights == RANDOM:  # there is nothing yet that a last layer could be fitted to
        config = dataclasses.replace(config, head_epochs=0)
    first_line = f"{name}, {weights}, {describe(fabric)}"
    print(first_line, flush=True)

    source = backbone.pretrained_cfg
    size = size or (source["input_size"][2], source["input_size"][1])
    split_file = resumed / "split.csv" if resumed else data_config.split
    ready = prepare(
        examples, data_config, size=size, mean=tuple(source["mean"]), std=tuple(source["std"]),
        split_file=split_file, seed=config.seed,
    )  # fmt: skip
    print(table(ready.rows), *(f"note: {note}" for note in ready.notes), sep="\n", flush=True)

    if resumed:
        folder = resumed
    else:
        folder = new_run(Path(config.out), name)
        start_run(folder, dataclasses.replace(data_config, data=str(root.resolve())), config, ready)
    options = dataclasses.asdict(config)
    log = EpochLog(folder, len(ready.folds), wandb=config.wandb, options=options)
    trainer = Trainer.start(
        fabric, backbone, ready.pictures, len(examples.classes), config, folder, log
    )
    try:
        finished = cross_validate(trainer, ready.folds)
    except KeyboardInterrupt:
        print(f"\ninterrupted; go on with: python main.py --resume {folder}", file=sys.stderr)
        return INTERRUPTED
    finally:
        log.close()
    facts = facts_of(folder, root, started) | {
        "backbone": name, "image": ready.spec, "first_line": first_line, "notes": ready.notes,
        "counts": ready.rows, "audit": ready.audit,
    }  # fmt: skip
    summary = finish(trainer, finished, ready.folds, ready.test, ready.examples, facts)
    print(*summary, f"report: {folder / 'report.html'}", sep="\n")
    print(f"predict: python predict.py {folder / 'model.pth'} PICTURE")
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


def start_run(folder: Path, data_config: DataConfig, config: TrainConfig, ready: Any) -> None:
    """Write what a run is started with: config.yaml, which can be fed back, and split.csv."""
    from data.splits import write_split

    options = dataclasses.asdict(data_config) | dataclasses.asdict(config)
    text = yaml.safe_dump(options, sort_keys=False)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    write_split(folder / "split.csv", ready.examples, ready.part)


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
