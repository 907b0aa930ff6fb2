"""scikit-learn's classifiers as baselines for a table, kept as ONNX programs."""

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from train.evaluate.calibration import probabilities_of
from train.loop.cross_validation import positions_in
from train.loop.state import EpochRow, Progress
from train.models.onnx_program import Program

if TYPE_CHECKING:  # scikit-learn takes a second, which prediction need not
    from sklearn.pipeline import Pipeline

BASELINES = ("logistic", "gradient_boosting", "svm", "random_forest")

Fold = tuple[np.ndarray, np.ndarray]  # positions to train and to validate on


class Baseline(nn.Module):
    """Logits (B, C) of rows (B, F) by a fitted scikit-learn pipeline, kept as an ONNX program.

    A program cannot execute code when it is loaded, as a pickled estimator would.
    """

    program: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.pooling = "table"
        self.register_buffer("program", torch.zeros(0, dtype=torch.uint8))

    def load_state_dict(self, state: Any, strict: bool = True, assign: bool = False) -> Any:
        """Take over the program, of whatever length."""
        self.program = state["program"].cpu()
        self._runnable = Program(self.program.numpy().tobytes())

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits (B, C): the logarithms of the probabilities."""
        probabilities = self._runnable.run(rows.cpu().numpy())[-1]
        return torch.from_numpy(np.log(np.clip(probabilities, 1e-6, 1)))

    def features(self, rows: torch.Tensor) -> torch.Tensor:
        """The logits: a baseline has no embedding of its own."""
        return self.forward(rows)


def fit_baselines(
    name: str,
    values: np.ndarray,
    labels: np.ndarray,
    folds: list[Fold],
    *,
    refit: bool,
    seed: int,
) -> list[Progress]:
    """The progress of every fold, and last that of a fit to all folds where `refit` asks for it.

    Filling with the median and standardisation are part of what is fitted to training rows alone.
    """
    everything = positions_in(folds)
    parts = [*folds, (everything, everything[:0])] if refit else folds
    return [_fit_fold(name, values, labels, part, seed) for part in parts]


def _fit_fold(name: str, values: np.ndarray, labels: np.ndarray, fold: Fold, seed: int) -> Progress:
    train, validation = fold
    program = _fitted(name, values[train], labels[train], int(labels.max()) + 1, seed)
    model = Baseline()
    model.load_state_dict({"program": program})
    progress = Progress(epoch=1, best_row=0, best_weights={"program": program})
    row = EpochRow("fit", 1, 0.0, train_loss=_loss(model, values[train], labels[train])[0])
    if len(validation):
        loss, logits = _loss(model, values[validation], labels[validation])
        right = logits.argmax(axis=1) == labels[validation]
        row = replace(row, validation_loss=loss, validation_accuracy=float(right.mean()))
        progress.best_loss, progress.best_logits = loss, torch.from_numpy(logits)
    progress.history.append(row)
    return progress


def _fitted(
    name: str, values: np.ndarray, labels: np.ndarray, n_classes: int, seed: int
) -> torch.Tensor:
    """The ONNX program uint8 (k,) of a pipeline fitted to rows (n, F) with labels (n,)."""
    from skl2onnx import to_onnx

    if len(np.unique(labels)) < n_classes:
        raise ValueError(f"--model {name}: a fold trains without one of the classes; lower --folds")
    pipeline = _pipeline(name, seed).fit(values, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter reads attributes that are to be renamed
        program = to_onnx(pipeline, values[:1], options={"zipmap": False})
    return torch.frombuffer(bytearray(program.SerializeToString()), dtype=torch.uint8)


def _pipeline(name: str, seed: int) -> "Pipeline":
    """The median for what is missing, standardisation, and the classifier."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    classifier = {
        "logistic": LogisticRegression(max_iter=5000),
        "svm": CalibratedClassifierCV(SVC(), ensemble=False, cv=3),
        "random_forest": RandomForestClassifier(300, random_state=seed),
        "gradient_boosting": GradientBoostingClassifier(random_state=seed),
    }[name]
    filling = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(filling, StandardScaler(), classifier)


def _loss(model: nn.Module, values: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    logits = model(torch.from_numpy(values)).numpy()
    shares = probabilities_of(logits, 1.0)[np.arange(len(labels)), labels]
    return float(-np.log(shares).mean()), logits
