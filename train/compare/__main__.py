"""Finished runs side by side, tested on the same pictures: one table, one figure, one verdict.

python -m train.compare runs/a runs/b runs/c              best first; is the best really better?
python -m train.compare runs/a runs/b --ensemble          and the mean of their probabilities
"""

from dataclasses import dataclass
from pathlib import Path

from common.cli import DONE, config_from, make_parser, option, run
from train.compare.run_split import check_same_split, read_run_split


@dataclass(frozen=True)
class CompareConfig:
    """Comparison"""

    out: str = option("comparison", "folder for comparison.html, .md, .csv and .png")
    ensemble: bool = option(False, "also test the mean of all models' probabilities")
    speed: bool = option(True, "measure images per second of each model on this machine")


def main() -> int:
    """Parse, compare, say where the table is."""
    parser = make_parser("python -m train.compare", (__doc__ or "").strip(), CompareConfig)
    parser.add_argument("runs", nargs="+", help="folders of finished runs, at least two")
    args = parser.parse_args()
    folders = list(dict.fromkeys(Path(folder).resolve() for folder in args.runs))
    if len(folders) < 2:
        again = f"; {args.runs[-1]} is the same run again" * (len(args.runs) > 1)
        parser.error(f"a comparison needs at least two runs{again}")
    config = config_from(args, CompareConfig)
    check_same_split([read_run_split(folder) for folder in folders])
    from train.compare.comparison import compare
    from train.compare.finished_run import read_run

    runs = [read_run(folder, measure=config.speed) for folder in folders]
    text = compare(runs, Path(config.out), ensemble=config.ensemble)
    print(text, f"report: {Path(config.out) / 'comparison.html'}", sep="\n")
    return DONE


if __name__ == "__main__":
    run(main)
