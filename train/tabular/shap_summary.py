"""Which columns of a table a model's answers hang on: SHAP values, by the package shap."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from common.plots import class_colours, new_figure
from train.evaluate.calibration import probabilities_of

N_BACKGROUND, N_EXPLAINED = 50, 200  # rows that stand for "unknown", and rows that are explained
N_COLUMNS = 20  # drawn


def shap_values(model: Any, temperature: float, values: np.ndarray, seed: int = 0) -> np.ndarray:
    """SHAP values float (n, F, C): what each column adds to each probability, for 200 rows at most.

    values: float32 (m, F); missing ones (NaN) count as the column's median. Lundberg and Lee, "A
    Unified Approach to Interpreting Model Predictions", NeurIPS 2017, by permutations of columns.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the package itself imports is not the user's matter
        import shap

    filled = np.where(np.isnan(values), np.nanmedian(values, axis=0), values)
    order = np.random.default_rng(seed).permutation(len(filled))
    background, rows = filled[order[:N_BACKGROUND]], filled[order[:N_EXPLAINED]]

    @torch.inference_mode()
    def answer(batch: np.ndarray) -> np.ndarray:
        logits = model(torch.from_numpy(np.asarray(batch, dtype=np.float32))).numpy()
        return probabilities_of(logits, temperature)

    masker = shap.maskers.Independent(background, max_samples=N_BACKGROUND)
    explainer = shap.PermutationExplainer(answer, masker, seed=seed)
    evaluations = 2 * filled.shape[1] + 1
    return explainer(rows, max_evals=evaluations, silent=True).values


def draw_summary(found: np.ndarray, columns: Sequence[str], classes: Sequence[str]) -> Figure:
    """The mean absolute SHAP value of each column, by class, the most important on top."""
    weight = np.abs(found).mean(axis=0)  # (F, C)
    order = np.argsort(-weight.sum(axis=1))[:N_COLUMNS]
    figure, axes = new_figure(7, 0.32 * len(order) + 1.2)
    places = np.arange(len(order))[::-1]
    left = np.zeros(len(order))
    for label, (name, colour) in enumerate(zip(classes, class_colours(len(classes)), strict=True)):
        axes.barh(places, weight[order, label], 0.7, left=left, label=name, color=colour)
        left += weight[order, label]
    axes.set_yticks(places, [columns[i] for i in order], fontsize=8)
    axes.set_xlabel("mean |SHAP value|: how far the column moves the probabilities")
    if len(classes) <= N_COLUMNS:
        axes.legend(fontsize=7, loc="lower right", frameon=False)
    return figure
