"""A model of table rows ready to answer: predict.py MODEL TABLE.csv."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.tabular.csv_file import read_rows
from inference.prediction import Prediction, of_picture
from inference.predictor import Model


class TableModel(Model):
    """A model whose examples are rows; logits_of turns rows float32 (B, F) into logits (B, C)."""

    def answers(self, files: list[str], left_out: list[str]) -> Iterator[Prediction]:
        """The answer for each row of each table, in order; why others are unreadable goes to
        `left_out`.
        """
        for file in files:
            try:
                names, values = read_rows(Path(file), self.facts["image"]["columns"])
            except ValueError as error:
                left_out.append(str(error))
                continue
            rows = self.probabilities(values) if len(values) else np.empty((0, len(self.classes)))
            for name, row in zip(names, rows, strict=True):
                yield of_picture(name, self.classes, row, None)
