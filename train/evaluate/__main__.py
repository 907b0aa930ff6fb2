"""Test a model file on any labelled folder, and say how far its pictures are from training's.

python -m train.evaluate runs/latest/model.pth other_pictures --out evaluated
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from common.cli import DONE, SOME_LEFT_OUT, config_from, make_parser, option, run
from common.text import printable


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluation"""

    out: str = option("evaluated", "folder for report.html, metrics.json and predictions.csv")
    group: str = option("group", "column of clips.csv that tells which pictures belong together")
    batch_size: int = option(32, "pictures at a time")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        if self.batch_size < 1:
            raise ValueError(f"--batch-size {self.batch_size}: must be 1 or more")


def main() -> int:
    """Parse, test, and say the answer."""
    parser = make_parser("python -m train.evaluate", (__doc__ or "").strip(), EvaluateConfig)
    parser.add_argument("model", help="model.pth of a run")
    parser.add_argument("folder", help="image folder, <class>/<picture>, with the model's classes")
    args = parser.parse_args()
    config = config_from(args, EvaluateConfig)
    from data.summary import noted
    from train.evaluate.labelled_folder import answer_line, evaluate_folder

    out = Path(config.out)
    test = evaluate_folder(
        Path(args.model), Path(args.folder), out, group=config.group, batch_size=config.batch_size
    )
    notes = noted(test.results.domain_shift)
    print(answer_line(test.results), *notes, f"report: {out / 'report.html'}", sep="\n")
    for reason in test.left_out:
        print(f"left out: {printable(reason)}", file=sys.stderr)
    return SOME_LEFT_OUT if test.left_out else DONE


if __name__ == "__main__":
    run(main)
