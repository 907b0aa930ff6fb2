"""Precision against recall of each class, over all thresholds of its probability."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve


@dataclass(frozen=True)
class ClassCurve:
    """precision and recall (k,) in [0, 1] of one class, and the average precision."""

    name: str
    precision: np.ndarray
    recall: np.ndarray
    average_precision: float


def class_curves(
    probabilities: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]
) -> list[ClassCurve]:
    """The curve of every class that has examples; probabilities (n, C), labels (n,) or (n, C)."""
    curves = []
    for label in np.unique(labels) if labels.ndim == 1 else np.flatnonzero(labels.any(axis=0)):
        mine = labels == label if labels.ndim == 1 else labels[:, label] > 0
        precision, recall, _ = precision_recall_curve(mine, probabilities[:, label])
        average = float(average_precision_score(mine, probabilities[:, label]))
        curves.append(ClassCurve(classes[label], precision, recall, average))
    return curves
