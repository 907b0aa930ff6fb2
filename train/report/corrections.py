"""What a training has learnt from corrections, beside the model that was corrected."""

import csv
from pathlib import Path

from common.files import open_csv
from data.splits import TEST


def what_changed(table: Path, predictions: Path) -> str:
    """A sentence on the test before and after, where the corrected model had the same test.

    table: of the corrections, beside that model, whose run's predictions.csv tells what it
    answered; predictions: this run's.
    """
    before, now = _answers(table.with_name("predictions.csv")), _answers(predictions)
    if before.keys() != now.keys():
        return (
            f"What the corrections changed is not known: beside {table} is no run that was tested "
            "on the same examples."
        )
    right_before, right_now = (
        sum(run[path][1] == label for path, (label, _) in now.items()) for run in (before, now)
    )
    changed = sum(before[path][1] != said for path, (_, said) in now.items())
    return (
        f"Since the corrections, {changed} of {len(now)} tested examples are answered otherwise: "
        f"{right_now} are right, and {right_before} were before."
    )


def _answers(file: Path) -> dict[str, tuple[str, str]]:
    """{tested path: (label, what was predicted)} of predictions.csv; empty if there is none."""
    if not file.is_file():
        return {}
    with open_csv(file) as lines:
        return {
            row["path"]: (row["label"], row["predicted"])
            for row in csv.DictReader(lines)
            if row.get("split") == TEST
        }
