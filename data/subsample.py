"""Copy a few pictures of each class, to try things quickly.

python -m data.subsample spectrograms small --per-class 10 --seed 123
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.cli import (
    DONE,
    SOME_LEFT_OUT,
    PositiveInt,
    Seed,
    config_from,
    make_parser,
    option,
    run,
)
from common.files import check_regular, write_records
from common.text import printable


@dataclass(frozen=True)
class SubsampleConfig:
    """Subsample"""

    per_class: PositiveInt = option(10, "pictures of each class; a smaller class is copied whole")
    seed: Seed = option(123, "the same seed picks the same pictures")


def subsample(
    source: Path, target: Path, *, per_class: int, seed: int
) -> tuple[list[str], list[str]]:
    """Copy `per_class` pictures of each class with their rows of clips.csv and render.json.

    Returns (paths of those that were copied, why others were not). Raises ValueError when the
    target exists and is not empty, or lies inside the source: old pictures must not mix with new
    ones.
    """
    from data.image_folder import read_clip_table, scan

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} exists and is not empty; choose a new folder")
    if source.resolve() in target.resolve().parents:
        raise ValueError(f"{target} is inside {source}, where it would be one more class")
    examples = scan(source)
    if examples.several_labels:
        raise ValueError(f"{source}: its songs have several labels; a part is taken of each class")
    rng = np.random.default_rng(seed)
    chosen = [
        path
        for label in range(len(examples.classes))
        for path in sorted(rng.permutation(examples.paths[examples.labels == label])[:per_class])
    ]
    copied, left_out = [], list(examples.left_out.values())
    for path in chosen:
        try:
            check_regular(source / path)
        except ValueError as error:
            left_out.append(str(error))
            continue
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / path)
        copied.append(str(path))
    if (source / "render.json").exists():
        shutil.copyfile(source / "render.json", target / "render.json")
    table = read_clip_table(source)
    if rows := [table[path] for path in copied if path in table]:
        write_records(target / "clips.csv", list(rows[0]), rows)
    return copied, left_out


def main() -> int:
    """Parse, copy, say how many."""
    parser = make_parser("python -m data.subsample", __doc__ or "", SubsampleConfig)
    parser.add_argument("source", type=Path, help="image folder to copy from")
    parser.add_argument("target", type=Path, help="new image folder")
    args = parser.parse_args()
    config = config_from(args, SubsampleConfig)
    copied, left_out = subsample(
        args.source, args.target, per_class=config.per_class, seed=config.seed
    )
    for reason in left_out:
        print(f"left out: {printable(reason)}")
    print(f"{len(copied)} pictures copied to {args.target}")
    return SOME_LEFT_OUT if left_out else DONE


if __name__ == "__main__":
    run(main)
