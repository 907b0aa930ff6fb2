"""Train a classifier on an image folder: k folds, one honest test, a model file that stands alone.

python main.py                            the pictures in spectrograms/, else the demo's
python main.py --data DIR --epochs 20     your own <class>/<picture> folders
python main.py --resume runs/latest       go on with an interrupted run
"""

import sys
from pathlib import Path

from common.cli import config_from, make_parser, run
from data.config import DataConfig
from data.root import check_given, root_of
from train.config import TrainConfig
from train.devices.launch import start_all, starts_here
from train.presets import add_presets, with_preset
from train.run_folder import interrupted


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
        if not interrupted(resumed):
            raise ValueError(f"{args.resume} is no interrupted run: there is nothing to go on with")
        args = parser.parse_args(["--config", str(resumed / "config.yaml")])
    data_config, config = config_from(args, DataConfig), config_from(args, TrainConfig)
    check_given(root_of(data_config.data), None if resumed else data_config.split)
    if starts_here(config.devices, config.nodes) and not data_config.leak_check:
        return start_all(config.devices, config.nodes)
    from train.pipeline import train

    return train(data_config, config, resumed)


if __name__ == "__main__":
    run(main)
