"""Figures of a run: learning curves, confusion matrix, per-class bars, reliability, embeddings."""

import numpy as np
from matplotlib.figure import Figure

from common.plots import new_figure
from train.evaluate.calibration import ConfidenceBin
from train.evaluate.metrics import ClassScores
from train.loop.fit import Progress


def confusion(matrix: list[list[int]], classes: list[str]) -> Figure:
    """Rows are true classes, columns predicted; colour is the row's share, text count and share."""
    counts = np.array(matrix)
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(3.2, 0.62 * len(classes) + 1.6)
    figure, axes = new_figure(side + 0.6, side)
    image = axes.imshow(rates, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xticks(range(len(classes)), classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    for (row, column), count in np.ndenumerate(counts if len(classes) <= 30 else counts[:0]):
        colour = "white" if rates[row, column] > 0.55 else "black"
        text = f"{count}\n{rates[row, column]:.0%}" if count else "0"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def per_class(scores: dict[str, ClassScores]) -> Figure:
    """Recall of each class with its 95 % interval, the best at the top."""
    names = sorted(scores, key=lambda name: scores[name].recall)
    rows = np.arange(len(names))
    recalls = np.array([scores[name].recall for name in names])
    intervals = np.array([scores[name].recall_interval_95 for name in names])  # (C, 2)
    figure, axes = new_figure(6, max(2.0, 0.36 * len(names) + 0.9))
    axes.barh(rows, recalls, 0.6, color="C0", alpha=0.75)
    reach = np.clip([recalls - intervals[:, 0], intervals[:, 1] - recalls], 0, None)
    axes.errorbar(recalls, rows, xerr=reach, fmt="none", ecolor="black", capsize=3, lw=1)
    axes.set_yticks(rows, [f"{name} ({scores[name].n})" for name in names])
    axes.set(xlim=(0, 1), xlabel="recall with its 95 % interval (number of examples in brackets)")
    return figure


def top_confusions(pairs: list[tuple[str, str, int, float]]) -> Figure:
    """How often each (true, predicted, n, share of the true class) was mixed up, as bars."""
    figure, axes = new_figure(6, max(1.6, 0.36 * len(pairs) + 0.9))
    rows = np.arange(len(pairs))[::-1]
    axes.barh(rows, [n for _, _, n, _ in pairs], 0.6, color="C3", alpha=0.75)
    for row, (_, _, n, share) in zip(rows, pairs, strict=True):
        axes.text(n, row, f" {n} ({share:.0%})", va="center", fontsize=9)
    axes.set_yticks(rows, [f"{truth} taken for {predicted}" for truth, predicted, _, _ in pairs])
    axes.set(xlabel="mistakes (share of the true class)")
    axes.set_xlim(0, 1.25 * max((n for _, _, n, _ in pairs), default=1))
    return figure


def reliability(bins: list[ConfidenceBin]) -> Figure:
    """Accuracy against confidence in ten bins; on the diagonal probabilities mean what they say."""
    figure, axes = new_figure(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color="grey", lw=1, ls="--")
    n = np.array([b.n for b in bins], dtype=float)
    confidence, accuracy = [b.confidence for b in bins], [b.accuracy for b in bins]
    axes.plot(confidence, accuracy, color="C0", lw=1)
    axes.scatter(confidence, accuracy, s=20 + 280 * n / n.sum(), color="C0", alpha=0.8)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of the answer", aspect="equal")
    axes.set_ylabel("share of right answers")
    axes.set_title("area: how many examples", fontsize=9)
    return figure


def embedding_map(
    points: np.ndarray, labels: np.ndarray, right: np.ndarray, classes: tuple[str, ...]
) -> Figure:
    """Points (n, 2) coloured by true class; mistakes are crosses."""
    figure, axes = new_figure(6.4, 4.6)
    for label, name in enumerate(classes):
        mine = labels == label
        colour = f"C{label % 10}"
        x, y = points[mine & right].T
        axes.scatter(x, y, s=14, color=colour, label=name, alpha=0.8)
        x, y = points[mine & ~right].T
        axes.scatter(x, y, s=28, color=colour, marker="x", lw=1.2)
    axes.set(xticks=[], yticks=[])
    axes.set_title("crosses: named wrongly; colour: true class", fontsize=9)
    if len(classes) <= 20:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def curves(finished: list[Progress]) -> Figure:
    """Loss of every fold by epoch, training dashed, validation solid, a dot at the chosen epoch."""
    figure, axes = new_figure(7, 3.4)
    for k, progress in enumerate(finished, start=1):
        colour = f"C{(k - 1) % 10}"
        epochs = range(1, len(progress.history) + 1)
        axes.plot(epochs, [r["train_loss"] for r in progress.history], "--", color=colour, lw=0.8)
        validation = [r["validation_loss"] for r in progress.history]
        axes.plot(epochs, validation, color=colour, lw=1.4, label=f"fold {k}")
        axes.plot(progress.best_row + 1, validation[progress.best_row], "o", color=colour)
    axes.set(xlabel="epoch: the head alone, then fine-tuning", ylabel="cross-entropy loss")
    axes.set_title("dashed: training, solid: validation, dot: chosen epoch", fontsize=9)
    if len(finished) <= 12:
        axes.legend(fontsize=8)
    return figure
