"""Train a classifier on an image folder: k folds, one honest test, a model file that stands alone.

python main.py                            the pictures in spectrograms/, else the demo's
python main.py --data DIR --epochs 20     your own <class>/<picture> folders
python main.py --resume runs/latest       go on with an interrupted run
"""

from dataclasses import fields
from pathlib import Path

from jsonargparse import Namespace

from common.cli import Parser, config_from, make_parser, run
from common.validation import flag
from data.config import DataConfig
from data.root import check_given, root_of
from train.config import PRESETS, TrainConfig
from train.devices.launch import start_all, starts_here
from train.run_folder import interrupted


def main() -> int:
    """Parse the flags, train, and say where the results are."""
    parser = make_parser("python main.py", (__doc__ or "").strip(), DataConfig, TrainConfig)
    parser.add_presets(PRESETS)
    parser.add_defaults_option(
        "--resume",
        lambda folder: Path(folder) / "config.yaml",
        metavar="RUN",
        help="folder of an interrupted run to go on with, by the options that it was started with",
    )
    args = parser.parse_args()
    resumed = Path(args.resume).resolve() if args.resume else None
    if resumed:
        if not interrupted(resumed):
            raise ValueError(f"{args.resume} is no interrupted run: there is nothing to go on with")
        refuse_changes(parser, args)
    data_config, config = config_from(args, DataConfig), config_from(args, TrainConfig)
    check_given(root_of(data_config.data), None if resumed else data_config.split)
    if starts_here(config.devices, config.nodes) and not data_config.leak_check:
        return start_all(config.devices, config.nodes)
    from train.pipeline import train

    return train(data_config, config, resumed)


def refuse_changes(parser: Parser, args: Namespace) -> None:
    """A usage error if an option differs from those that the resumed run was started with."""
    own = parser.get_defaults()
    for name in (field.name for config in (DataConfig, TrainConfig) for field in fields(config)):
        if args[name] != own[name]:
            parser.error(
                f"{flag(name)} {args[name]}: the interrupted run has {own[name]}, and --resume "
                f"changes no option; to start anew, give --config {args.resume}/config.yaml"
            )


if __name__ == "__main__":
    run(main)
