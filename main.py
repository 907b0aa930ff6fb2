"""Train a classifier of songs or pictures: k folds, one honest test, a self-contained model file.

python main.py MUSIC                      songs in class folders: drawn as pictures, then trained on
python main.py my_pictures                pictures in class folders
python main.py                            the pictures in spectrograms/, else the demo's
python main.py --resume runs/latest       go on with an interrupted run
"""

from dataclasses import replace
from pathlib import Path

from common.cli import config_from, make_parser, run
from common.files import near
from common.progress import stage
from data.config import DataConfig, check_given, root_of
from render.songs import SongConfig, check_songs, holds_songs
from train.config import PRESETS, TrainConfig
from train.devices.launch import start_all, starts_here
from train.run_folder import interrupted


def main() -> int:
    """Parse the flags, train, and say where the results are."""
    parser = make_parser(
        "python main.py", (__doc__ or "").strip(), DataConfig, TrainConfig, SongConfig
    )
    parser.add_argument("data_given", metavar="DATA", nargs="?", help="the same as --data")
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
            finished = (resumed / "report.html").is_file()
            why = f"there is nothing to go on with{'' if resumed.exists() else near(resumed)}"
            why = f"it has finished, with {args.resume}/report.html" if finished else why
            raise ValueError(f"{args.resume} is no interrupted run: {why}")
        parser.refuse_changes(args, DataConfig, TrainConfig)
    if args.data_given:
        if args.data not in (None, args.data_given):
            parser.error(f"{args.data_given} and --data {args.data}: give one of them")
        args.data = args.data_given
    data_config, config = config_from(args, DataConfig), config_from(args, TrainConfig)
    songs = config_from(args, SongConfig)
    with stage("starting"):
        checked = replace(data_config, split=None) if resumed else data_config
        has_songs = holds_songs(root := root_of(data_config.data))
        check_given(checked, songs=has_songs)
        if has_songs and not resumed:
            check_songs(root, songs)
    if starts_here(config.devices, config.nodes) and not data_config.leak_check:
        return start_all(config.devices, config.nodes)
    with stage("starting"):
        from train.pipeline import train

    return train(data_config, config, resumed, songs, given=parser.given)


if __name__ == "__main__":
    run(main)
