"""Ask a model that was trained on the demo about three recordings of its test part.

python -m subsampled_data.ask runs/latest
"""

import csv
from pathlib import Path

from common.cli import DONE, make_parser, run
from common.recordings import recording_of

HERE = Path(__file__).parent
N_ASKED = 3


def tested_recordings(predictions: Path) -> dict[str, list[str]]:
    """{recording: its pictures} that predictions.csv says were tested, one of each class first."""
    recordings: dict[str, list[str]] = {}
    with predictions.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                recordings.setdefault(recording_of(row["path"]), []).append(row["path"])
    classes: dict[str, list[str]] = {}
    for name in recordings:
        classes.setdefault(name.partition("/")[0], []).append(name)
    first = [names[0] for _, names in sorted(classes.items())]
    return {name: recordings[name] for name in [*first, *recordings]}


def main() -> int:
    """Print the truth and the answer for each of the recordings; the exit code."""
    parser = make_parser("python -m subsampled_data.ask", (__doc__ or "").strip())
    parser.add_argument("run", type=Path, help="folder of a finished run on the demo's pictures")
    args = parser.parse_args()
    from inference.predictor import load

    model = load(args.run)
    print("three recordings that the model never met:")
    for name, pictures in list(tested_recordings(args.run / "predictions.csv").items())[:N_ASKED]:
        rows = [model(HERE / picture).probabilities for picture in pictures]
        mean = {label: sum(row[label] for row in rows) / len(rows) for label in rows[0]}
        label = max(mean, key=lambda one: mean[one])
        truth, _, recording = name.partition("/")
        verdict = "right" if label == truth else "wrong"
        print(f"  {recording}: is {truth}, answered {label} ({mean[label]:.0%}), {verdict}")
    return DONE


if __name__ == "__main__":
    run(main)
