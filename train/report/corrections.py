"""What a training has learnt from corrections, beside the model that was corrected."""

import csv
from pathlib import Path

import numpy as np

from common.files import open_csv
from data.examples import Examples
from data.splits import TEST
from train.evaluate.final_test import HeldOut


def what_changed(table: Path, test: HeldOut, examples: Examples) -> str:
    """A sentence on the test before and after, where the corrected model had the same test.

    table: of the corrections, beside that model; its run's predictions.csv tells what it answered.
    """
    before = _answers(table.with_name("predictions.csv"))
    now = {
        str(examples.paths[i]): examples.classes[int(row.argmax())]
        for i, row in zip(test.positions, np.asarray(test.probabilities), strict=True)
    }
    if before.keys() != now.keys():
        return (
            f"What the corrections changed is not known: beside {table} is no run that was tested "
            "on the same examples."
        )
    true = {str(examples.paths[i]): examples.classes[examples.labels[i]] for i in test.positions}
    right_before, right_now = (
        sum(one[path] == label for path, label in true.items()) for one in (before, now)
    )
    changed = sum(before[path] != now[path] for path in now)
    return (
        f"Since the corrections, {changed} of {len(now)} tested examples are answered otherwise: "
        f"{right_now} are right, and {right_before} were before."
    )


def _answers(file: Path) -> dict[str, str]:
    """{tested path: what was predicted} of a run's predictions.csv; empty where there is none."""
    if not file.is_file():
        return {}
    with open_csv(file) as lines:
        rows = csv.DictReader(lines)
        return {row["path"]: row["predicted"] for row in rows if row.get("split") == TEST}
