"""Labels worth a second look, by probabilities that were predicted for pictures not trained on."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.files import probabilities_in, read_rows


class LabelIssue(NamedTuple):
    """A picture whose label is worth a second look: its path, both labels and probabilities.

    p_wrong: that the label is wrong, by the rates at which labels of the two classes are exchanged.
    """

    path: str
    label: str
    likelier: str
    p_label: float
    p_likelier: float
    p_wrong: float


def find_label_issues(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Positions int (k,) of labels worth a second look, the likeliest to be wrong first.

    Confident learning: a picture counts for class j when its probability of j reaches the mean one
    of the pictures labelled j; counted for another class than its own, it is suspected.
    C. Northcutt, L. Jiang, I. Chuang, "Confident Learning", JAIR 70, 2021, eq. 1-2.
    """
    counted = _counted_for(probabilities, labels)
    found = np.flatnonzero((counted >= 0) & (counted != labels))
    likelihood = probability_of_error(probabilities, labels)[found]
    margin = probabilities[found].max(axis=1) - probabilities[found, labels[found]]
    return found[np.lexsort((-margin, -likelihood))]


def probability_of_error(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """That each label is wrong, float (n,) in [0, 1].

    A confident mistake is either the label's or the model's. How often labels i stand on pictures
    of class j is counted by confident learning (eq. 3 there); by Bayes' rule with the picture's own
    probabilities. It is too high where the model confuses two classes that are rarely exchanged.
    """
    n, n_classes = probabilities.shape
    counted = _counted_for(probabilities, labels)
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (labels[counted >= 0], counted[counted >= 0]), 1)
    empty = counts.sum(axis=1) == 0
    counts[empty, empty] = 1
    n_labelled = np.bincount(labels, minlength=n_classes)[:, None]
    joint = counts / counts.sum(axis=1, keepdims=True) * n_labelled
    rates = joint / np.maximum(joint.sum(axis=0), 1e-12)  # of label i on pictures of class j
    posterior = probabilities * rates[labels]
    right = posterior[np.arange(n), labels] / np.maximum(posterior.sum(axis=1), 1e-12)
    return 1 - right


def _counted_for(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class int (n,) that each picture counts for, -1 for none."""
    thresholds = [
        probabilities[labels == j, j].mean() if (labels == j).any() else np.inf
        for j in range(probabilities.shape[1])
    ]
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    return np.where(confident.max(axis=1) >= 0, confident.argmax(axis=1), -1)


def label_issues_in(file: Path) -> list[LabelIssue]:
    """Those among the rows of a run's predictions.csv; ValueError if it is not one.

    A picture that was held out several times (--repeats) counts with its mean probabilities.
    """
    if not file.is_file():
        raise ValueError(f"no predictions at {file}; python main.py writes predictions.csv")
    columns, cells = read_rows(file)
    rows = [dict(zip(columns, row, strict=True)) for row in cells]
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
    values = np.array([probabilities_in((row[name] for name in classes), file) for row in rows])
    mean = np.zeros((len(paths), len(classes)))
    np.add.at(mean, index, values)
    mean /= np.bincount(index)[:, None]
    labels = np.array([classes.index(rows[i]["label"]) for i in first])
    p_wrong = probability_of_error(mean, labels)
    return [
        LabelIssue(
            str(paths[i]),
            classes[labels[i]],
            classes[mean[i].argmax()],
            float(mean[i, labels[i]]),
            float(mean[i].max()),
            float(p_wrong[i]),
        )
        for i in find_label_issues(mean, labels)
    ]
