"""Classifiers of tables: a fully connected network, and scikit-learn's as honest baselines."""

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from train.config import TrainConfig
from train.devices.fabric import one_thread
from train.evaluate.calibration import probabilities_of
from train.loop.fit import Progress

if TYPE_CHECKING:
    from train.loop.cross_validation import Trainer

NETWORK = "fcnn"
BASELINES = ("logistic", "gradient_boosting", "svm", "random_forest")
MODELS = (NETWORK, *BASELINES)
WIDTHS = (256, 128, 64)


class Standardise(nn.Module):
    """Rows (B, F) with zero mean and unit variance over all rows that were ever trained on.

    Every training batch adds to the sums, so that after one epoch they are those of the training
    rows, each counted once per epoch. A missing value (NaN) counts nowhere and becomes 0, the mean.
    """

    count: torch.Tensor
    total: torch.Tensor
    squares: torch.Tensor

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        for name in ("count", "total", "squares"):
            self.register_buffer(name, torch.zeros(n_columns, dtype=torch.float64))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        missing = rows.isnan()
        known = torch.where(missing, 0.0, rows).double()
        if self.training:
            self.count += (~missing).sum(dim=0)
            self.total += known.sum(dim=0)
            self.squares += (known**2).sum(dim=0)
        mean = self.total / self.count.clamp_min(1)
        variance = (self.squares / self.count.clamp_min(1) - mean**2).clamp_min(0)
        scaled = (known - mean) / (variance + 1e-12).sqrt()
        return torch.where(missing, 0.0, scaled.clamp(-10, 10)).float()


class TableNetwork(nn.Module):
    """Logits (B, C) of rows (B, F): FC 256-128-64, each with ReLU, batch norm and dropout.

    Source: Music Geographic Classification with Deep Learning (MIRAGE corpus), dropout 0.3. With
    13 columns and 57 classes it has 49,337 parameters; the source states about 150,000.
    """

    def __init__(self, n_columns: int, n_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.pooling, self.keeps_statistics = "table", False
        layers: list[nn.Module] = [Standardise(n_columns)]
        for n_in, n_out in zip((n_columns, *WIDTHS), WIDTHS, strict=False):
            layers += [
                nn.Linear(n_in, n_out),
                nn.ReLU(),
                nn.BatchNorm1d(n_out),
                nn.Dropout(dropout),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(WIDTHS[-1], n_classes)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits (B, C)."""
        return self.head(self.features(rows))

    def features(self, rows: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, 64) of rows."""
        return self.body(rows)

    def unfreeze(self, finetune: str) -> None:
        """Everything is trained: there are no pretrained weights."""


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
        self._session = onnxruntime.InferenceSession(self.program.numpy().tobytes())

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits (B, C): the logarithms of the probabilities."""
        (taken,) = self._session.get_inputs()
        probabilities = self._session.run(None, {taken.name: rows.cpu().numpy()})[1]
        return torch.from_numpy(np.log(np.clip(probabilities, 1e-6, 1)))

    def features(self, rows: torch.Tensor) -> torch.Tensor:
        """The logits: a baseline has no embedding of its own."""
        return self.forward(rows)


def build(name: str, n_columns: int, n_classes: int, *, dropout: float = 0.0) -> Any:
    """The untrained model of that name; ValueError that lists the names when there is none."""
    if name not in MODELS:
        raise ValueError(f"--model {name}: a table is classified by {', '.join(MODELS)}")
    if name == NETWORK:
        return TableNetwork(n_columns, n_classes, dropout=dropout)
    return Baseline()


def check_options(name: str, config: TrainConfig, *, leak_check: bool) -> None:
    """Raise ValueError for options of pictures that mean nothing, or something else, here."""
    if config.devices * config.nodes > 1:
        raise ValueError("a table is trained by a single process: leave out --devices and --nodes")
    if config.find_rate:
        raise ValueError("--find-rate: of a table's network no rate is suggested")
    if leak_check:
        raise ValueError("--leak-check compares splits of pictures: leave it out for a table")
    if name != NETWORK and config.final in ("ensemble", "soup"):
        raise ValueError(f"--final {config.final}: only networks are averaged; take refit or best")


def fit_table(
    trainer: "Trainer", name: str, values: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]
) -> list[Progress]:
    """The progress of every fold, and of the refit where that is asked for, by any of `MODELS`."""
    config, labels = trainer.config, trainer.pictures.labels
    if name == NETWORK:
        from train.loop.cross_validation import cross_validate

        with one_thread():
            return cross_validate(trainer, folds)
    refit = config.final == "refit"
    return fit_baselines(name, values, labels, folds, refit=refit, seed=config.seed)


def fit_baselines(
    name: str,
    values: np.ndarray,
    labels: np.ndarray,
    folds: list[tuple[np.ndarray, np.ndarray]],
    *,
    refit: bool,
    seed: int,
) -> list[Progress]:
    """The progress of every fold, and last that of a fit to all folds where `refit` asks for it.

    Filling with the median and standardisation are part of what is fitted to training rows alone.
    """
    from train.loop.cross_validation import positions_in

    everything = positions_in(folds)
    parts = [*folds, (everything, everything[:0])] if refit else folds
    finished = []
    for train, validation in parts:
        program = _fitted(name, values[train], labels[train], int(labels.max()) + 1, seed)
        model = Baseline()
        model.load_state_dict({"program": program})
        progress = Progress(epoch=1, best_row=0, best_weights={"program": program})
        row = {"phase": "fit", "epoch": 1, "learning_rate": 0.0}
        row["train_loss"] = _loss(model, values[train], labels[train])[0]
        if len(validation):
            loss, logits = _loss(model, values[validation], labels[validation])
            right = logits.argmax(axis=1) == labels[validation]
            row |= {"validation_loss": loss, "validation_accuracy": float(right.mean())}
            progress.best_loss, progress.best_logits = loss, torch.from_numpy(logits)
        progress.history.append(row)
        finished.append(progress)
    return finished


def _fitted(
    name: str, values: np.ndarray, labels: np.ndarray, n_classes: int, seed: int
) -> torch.Tensor:
    """The ONNX program uint8 (k,) of a pipeline fitted to rows (n, F) with labels (n,)."""
    import warnings

    from skl2onnx import to_onnx
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    if len(np.unique(labels)) < n_classes:
        raise ValueError(f"--model {name}: a fold trains without one of the classes; lower --folds")
    estimator = {
        "logistic": LogisticRegression(max_iter=5000),
        "svm": CalibratedClassifierCV(SVC(), ensemble=False, cv=3),
        "random_forest": RandomForestClassifier(300, random_state=seed),
        "gradient_boosting": GradientBoostingClassifier(random_state=seed),
    }[name]
    filling = SimpleImputer(strategy="median", keep_empty_features=True)
    pipeline = make_pipeline(filling, StandardScaler(), estimator).fit(values, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter reads attributes that are to be renamed
        program = to_onnx(pipeline, values[:1], options={"zipmap": False})
    return torch.frombuffer(bytearray(program.SerializeToString()), dtype=torch.uint8)


def _loss(model: nn.Module, values: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    logits = model(torch.from_numpy(values)).numpy()
    shares = probabilities_of(logits, 1.0)[np.arange(len(labels)), labels]
    return float(-np.log(shares).mean()), logits
