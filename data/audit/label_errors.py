"""Suspected wrong labels, from probabilities that were predicted for pictures not trained on."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.files import open_csv


class LabelIssue(NamedTuple):
    """A picture whose label is worth a second look: its path, both labels and probabilities."""

    path: str
    label: str
    likelier: str
    p_label: float
    p_likelier: float


def find_label_issues(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Positions int (k,) of suspected wrong labels, the surest first.

    Confident learning: a picture counts for class j when its probability of j reaches the mean one
    of the pictures labelled j; counted for another class than its own, it is suspected. Ordered by
    the margin. C. Northcutt, L. Jiang, I. Chuang, "Confident Learning", JAIR 70, 2021, eq. 1-2.
    """
    rows = np.arange(len(labels))
    n_classes = probabilities.shape[1]
    thresholds = np.array(
        [
            probabilities[labels == j, j].mean() if (labels == j).any() else np.inf
            for j in range(n_classes)
        ]
    )
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    counted_for = confident.argmax(axis=1)
    wrong = (confident.max(axis=1) >= 0) & (counted_for != labels)
    margin = probabilities.max(axis=1) - probabilities[rows, labels]
    found = np.flatnonzero(wrong)
    return found[np.argsort(-margin[found], kind="stable")]


def label_issues_in(file: Path) -> list[LabelIssue]:
    """The suspects among the rows of a run's predictions.csv; ValueError if it is not one.

    A picture that was held out several times (--repeats) counts with its mean probabilities.
    """
    if not file.is_file():
        raise ValueError(f"no predictions at {file}; python main.py writes predictions.csv")
    with open_csv(file) as lines:
        rows = list(csv.DictReader(lines))
    classes = sorted({row["label"] for row in rows}) if rows and "label" in rows[0] else []
    if not classes or not {"path", *classes} <= set(rows[0]):
        raise ValueError(f"{file} needs the columns path, label and one for each class, and rows")
    classes = [
        name
        for name in rows[0]
        if name not in ("path", "label", "group", "split", "predicted", "recording")
    ]
    paths, first, index = np.unique(
        [row["path"] for row in rows], return_index=True, return_inverse=True
    )
    try:
        values = np.array([[float(row[name]) for name in classes] for row in rows])
    except ValueError as error:
        raise ValueError(f"{file}: a probability is no number ({error})") from None
    mean = np.zeros((len(paths), len(classes)))
    np.add.at(mean, index, values)
    mean /= np.bincount(index)[:, None]
    labels = np.array([classes.index(rows[i]["label"]) for i in first])
    return [
        LabelIssue(
            str(paths[i]),
            classes[labels[i]],
            classes[mean[i].argmax()],
            float(mean[i, labels[i]]),
            float(mean[i].max()),
        )
        for i in find_label_issues(mean, labels)
    ]
