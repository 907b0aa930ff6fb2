"""What options of main.py are worth, on held-out pictures of the folds and never on the test part.

python -m bench.ablation --data DIR --seeds 3 --try "" --try "--mixup 0.4" --try "--ema 0.99"

Each --try adds its options to the common ones. All of them start from the same embeddings, so the
picture size, the backbone and the pooling are common options. The loss is at the best temperature.
"""

import shlex
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.cli import DONE, Parser, config_from, make_parser, run
from data.config import DataConfig, root_of
from data.image_folder import scan
from train.config import PRESETS, TrainConfig
from train.devices.fabric import make_fabric
from train.loop.loggers import Silent
from train.loop.trainer import Trainer
from train.models.pretrained import RANDOM
from train.pipeline import PictureTraining, prepare_pictures
from train.tune.search_space import try_folds


def main() -> int:
    """Print a line for every set of options: accuracy and loss of what was held out."""
    parser = _parser()
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f"--seeds {args.seeds}: must be 1 or more")
    common, tries = _without_tries(sys.argv[1:]), args.tries or [""]
    changes = [parser.parse_args([*common, *shlex.split(t)]) for t in tries]
    data_config, config = config_from(args, DataConfig), config_from(args, TrainConfig)
    fabric = make_fabric(config.accelerator, config.precision)
    examples = scan(root_of(data_config.data), data_config.group)
    start = prepare_pictures(examples, data_config, config, fabric)
    folds = start.ready.split.folds
    n_held_out = len({int(i) for _, validation in folds for i in validation})
    print(f"{n_held_out} pictures held out in {len(folds)} folds, {args.seeds} seeds")
    first: np.ndarray | None = None
    with tempfile.TemporaryDirectory() as folder:
        embedder = start.trainer(Path(folder), Silent())
        for options, change in zip(tries, changes, strict=True):
            began = time.monotonic()
            config = config_from(change, TrainConfig).settled(
                on_cpu=fabric.device.type == "cpu", random_weights=start.weights == RANDOM
            )
            changed = start.augmented(config_from(change, DataConfig))
            seeds = range(config.seed, config.seed + args.seeds)
            tried = (replace(changed, config=replace(config, seed=s)) for s in seeds)
            found = np.array([_held_out(each, embedder) for each in tried])  # (seeds, 2)
            first = found if first is None else first
            print(_line(options or "(common)", found, found - first, began), flush=True)
    return DONE


def _parser() -> Parser:
    parser = make_parser(
        "python -m bench.ablation", (__doc__ or "").strip(), DataConfig, TrainConfig
    )
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each, by other seeds")
    parser.add_argument("--try", dest="tries", action="append", help="options to try, in quotes")
    parser.add_presets(PRESETS)
    return parser


def _without_tries(arguments: list[str]) -> list[str]:
    tries = [i for i, argument in enumerate(arguments) if argument == "--try"]
    return [a for i, a in enumerate(arguments) if i not in tries and i - 1 not in tries]


def _held_out(start: PictureTraining, embedder: Trainer) -> tuple[float, float]:
    """(accuracy, loss) of all that the folds hold out."""
    reached = (0.0, 0.0)

    def report(_: int, loss: float, accuracy: float) -> None:
        nonlocal reached
        reached = (accuracy, loss)

    with tempfile.TemporaryDirectory() as scratch:
        trainer = start.trainer(Path(scratch), Silent())
        try_folds(trainer, start.ready.split.folds, embedder, report)
    return reached


def _line(name: str, found: np.ndarray, more: np.ndarray, began: float) -> str:
    (accuracy, loss), (points, lost) = found.mean(axis=0), more.mean(axis=0)
    deviation = found[:, 0].std(ddof=1) if len(found) > 1 else 0.0
    return (
        f"accuracy {accuracy:.4f} ± {deviation:.4f} ({100 * points:+.1f} points)  loss {loss:.3f} "
        f"({lost:+.3f})  {time.monotonic() - began:.0f} s  {name}"
    )


if __name__ == "__main__":
    run(main)
