"""Copy a few pictures of each class, to try things quickly.

python -m data.subsample spectrograms small --per-class 10 --seed 123
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.cli import DONE, config_from, make_parser, option, run
from common.files import write_records


@dataclass(frozen=True)
class SubsampleConfig:
    """Subsample"""

    per_class: int = option(10, "pictures of each class; a smaller class is copied whole")
    seed: int = option(123, "the same seed picks the same pictures")

    def __post_init__(self) -> None:
        """Raise ValueError when nothing would be copied."""
        if self.per_class < 1:
            raise ValueError(f"--per-class {self.per_class}: must be at least 1")


def subsample(source: Path, target: Path, *, per_class: int, seed: int) -> int:
    """Copy `per_class` pictures of each class with their rows of clips.csv and render.json.

    Returns how many were copied. Raises ValueError when the target exists and is not empty, or
    lies inside the source: old pictures must not mix with new ones.
    """
    from data.image_folder import read_clip_table, scan

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} exists and is not empty; choose a new folder")
    if source.resolve() in target.resolve().parents:
        raise ValueError(f"{target} is inside {source}, where it would be one more class")
    examples = scan(source)
    rng = np.random.default_rng(seed)
    chosen = [
        path
        for label in range(len(examples.classes))
        for path in sorted(rng.permutation(examples.paths[examples.labels == label])[:per_class])
    ]
    for path in chosen:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / path)
    if (source / "render.json").exists():
        shutil.copyfile(source / "render.json", target / "render.json")
    table = read_clip_table(source)
    if rows := [table[path] for path in chosen if path in table]:
        write_records(target / "clips.csv", list(rows[0]), rows)
    return len(chosen)


def main() -> int:
    """Parse, copy, say how many."""
    parser = make_parser("python -m data.subsample", __doc__ or "", SubsampleConfig)
    parser.add_argument("source", type=Path, help="image folder to copy from")
    parser.add_argument("target", type=Path, help="new image folder")
    args = parser.parse_args()
    config = config_from(args, SubsampleConfig)
    n = subsample(args.source, args.target, per_class=config.per_class, seed=config.seed)
    print(f"{n} pictures copied to {args.target}")
    return DONE


if __name__ == "__main__":
    run(main)
