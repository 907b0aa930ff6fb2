"""Search for good options of main.py, by cross-validation on all but the test part.

python -m train.tune --data DIR --trials 50             go on with --trials 100, or after Ctrl-C
python -m train.tune --data DIR --trials 50 &           several processes share the storage
python main.py --config runs/tune/best.yaml             train with what was found

The test part is fixed first, in split.csv beside the storage, and best.yaml keeps it.
"""

from common.cli import config_from, make_parser, run
from data.config import DataConfig, check_given, is_table, root_of
from train.config import TrainConfig
from train.tune.config import TuneConfig


def main() -> int:
    """Parse and hand over; returns an exit code."""
    parser = make_parser(
        "python -m train.tune", (__doc__ or "").strip(), TuneConfig, DataConfig, TrainConfig
    )
    args = parser.parse_args()
    tune_config, data_config = config_from(args, TuneConfig), config_from(args, DataConfig)
    config = config_from(args, TrainConfig)
    root = root_of(data_config.data)
    if is_table(root):
        raise ValueError(f"{root} is a table: only options of networks of pictures are searched")
    check_given(data_config)
    from train.tune.search import tune  # torch takes seconds to import

    return tune(tune_config, data_config, config)


if __name__ == "__main__":
    run(main)
