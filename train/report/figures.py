"""Figures of a run. Their size is bounded: of many classes, the worst are drawn, and it is said."""

import numpy as np
from matplotlib.figure import Figure

from common.plots import class_colours, empty_figure, new_figure
from train.evaluate.calibration import ConfidenceBin
from train.evaluate.frozen_features import LearningCurve
from train.evaluate.metrics import ClassScores
from train.evaluate.precision_recall import ClassCurve
from train.loop.state import Progress

WIDTH = 4.6  # inches: as wide as a telephone, so that no text becomes unreadable there
MAX_IN_MATRIX, MAX_WITH_COUNTS, MAX_BARS, MAX_CURVES, MAX_IN_LEGEND = 40, 30, 60, 12, 20
MARKERS = "os^DvP*X<>"  # beside colours, which not all readers tell apart


def confusion(matrix: list[list[int]], classes: list[str]) -> Figure:
    """Rows are true classes, columns predicted; colour is the row's share, text count and share.

    Of more than 40 classes, those with the most mistakes.
    """
    counts, title = np.array(matrix), ""
    if len(classes) > MAX_IN_MATRIX:
        wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
        worst = np.sort(np.argsort(-wrong, kind="stable")[:MAX_IN_MATRIX])
        title = f"the {MAX_IN_MATRIX} of {len(classes)} classes with the most mistakes"
        totals = counts.sum(axis=1)[worst]
        counts, classes = counts[np.ix_(worst, worst)], [classes[i] for i in worst]
    else:
        totals = counts.sum(axis=1)
    rates = counts / np.maximum(totals[:, None], 1)
    side = max(3.2, 0.62 * min(len(classes), MAX_WITH_COUNTS) + 1.6)
    figure, axes = new_figure(side + 0.6, side)
    image = axes.imshow(rates, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(title, fontsize=9)
    axes.set_xticks(range(len(classes)), classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    with_counts = counts if len(classes) <= MAX_WITH_COUNTS else counts[:0]
    for (row, column), count in np.ndenumerate(with_counts):
        colour = "white" if rates[row, column] > 0.55 else "black"
        text = f"{count}\n{rates[row, column]:.0%}" if count else "0"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def per_class(scores: dict[str, ClassScores]) -> Figure:
    """Recall of each class with its 95 % interval, the best at the top; of many, the 60 lowest."""
    names = sorted(scores, key=lambda name: scores[name].recall)[:MAX_BARS]
    rows = np.arange(len(names))
    recalls = np.array([scores[name].recall for name in names])
    intervals = np.array([scores[name].recall_interval_95 for name in names])  # (C, 2)
    figure, axes = new_figure(6, max(2.0, 0.36 * len(names) + 0.9))
    axes.barh(rows, recalls, 0.6, color="C0", alpha=0.75)
    reach = np.clip([recalls - intervals[:, 0], intervals[:, 1] - recalls], 0, None)
    axes.errorbar(recalls, rows, xerr=reach, fmt="none", ecolor="black", capsize=3, lw=1)
    axes.set_yticks(rows, [f"{name} ({scores[name].n})" for name in names])
    axes.set(xlim=(0, 1), xlabel="recall with its 95 % interval (number of examples in brackets)")
    if len(scores) > MAX_BARS:
        axes.set_title(f"the {MAX_BARS} of {len(scores)} classes with the lowest recall")
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
    """Accuracy against confidence in ten bins, with the band that chance alone explains."""
    figure, axes = new_figure(WIDTH, 4.2)
    axes.plot([0, 1], [0, 1], color="grey", lw=1, ls="--")
    n = np.array([b.n for b in bins], dtype=float)
    confidence, accuracy = [b.confidence for b in bins], [b.accuracy for b in bins]
    low, high = zip(*(b.by_chance for b in bins), strict=True)
    if len(bins) > 1:
        axes.fill_between(confidence, low, high, color="C0", alpha=0.2, lw=0)
    else:
        axes.vlines(confidence, low, high, color="C0", alpha=0.3, lw=6)
    axes.plot(confidence, accuracy, color="C0", lw=1)
    axes.scatter(confidence, accuracy, s=20 + 280 * n / n.sum(), color="C0", alpha=0.8)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), aspect="equal")
    axes.set(xlabel="probability of the answer", ylabel="share of correct answers")
    return figure


def precision_recall(curves: list[ClassCurve]) -> Figure:
    """A small plot of each class, the lowest average precision first, of 12 classes at most."""
    curves = sorted(curves, key=lambda one: one.average_precision)[:MAX_CURVES]
    n_columns = min(3, len(curves))
    n_rows = -(-len(curves) // n_columns)
    figure = empty_figure(WIDTH, 1.55 * n_rows + 0.35)
    every = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for axes, curve in zip(every.flat, curves, strict=False):
        axes.step(curve.recall, curve.precision, where="post", color="C0", lw=1.4)
        name = curve.name if len(curve.name) <= 14 else curve.name[:13] + "…"
        axes.set_title(f"{name} {curve.average_precision:.2f}", fontsize=9)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        axes.tick_params(labelsize=8)
    for axes in every.flat[len(curves) :]:
        axes.set_visible(False)
    figure.supxlabel("recall (beside the name: average precision)", fontsize=9)
    figure.supylabel("precision", fontsize=9)
    return figure


def learning_curve(curve: LearningCurve) -> Figure:
    """Accuracy with its 95 % interval by the number of training groups."""
    figure, axes = new_figure(WIDTH, 3)
    accuracy = np.array(curve.accuracy)
    low, high = np.array(curve.interval_95).T
    reach = np.clip([accuracy - low, high - accuracy], 0, None)
    axes.errorbar(curve.n_groups, accuracy, yerr=reach, fmt="o-", color="C0", capsize=3)
    axes.set_xscale("log")
    axes.set_xticks(curve.n_groups, [str(n) for n in curve.n_groups])
    axes.minorticks_off()
    axes.set(xlabel="groups trained on", ylabel="accuracy")
    return figure


def embedding_map(
    points: np.ndarray, labels: np.ndarray, right: np.ndarray, classes: tuple[str, ...]
) -> Figure:
    """Points (n, 2) by true class, in its colour and shape; a ring marks a wrong answer."""
    named = np.unique(labels)
    in_legend = len(named) <= MAX_IN_LEGEND
    n_legend_rows = -(-len(named) // 3) if in_legend else 0
    figure, axes = new_figure(WIDTH, 3.8 + 0.22 * n_legend_rows)
    for label, colour in zip(named, class_colours(len(named)), strict=True):
        x, y = points[labels == label].T
        marker = MARKERS[label % len(MARKERS)]
        axes.scatter(x, y, s=18, color=colour, marker=marker, label=classes[label], lw=0)
    x, y = points[~right].T
    axes.scatter(x, y, s=70, facecolors="none", edgecolors="black", lw=1)
    axes.set(xticks=[], yticks=[])
    if in_legend:
        figure.legend(fontsize=9, loc="outside lower center", ncols=3, frameon=False)
    return figure


def curves(finished: list[Progress]) -> Figure:
    """Loss of every fold by epoch, training dashed, validation solid, a dot at the chosen epoch."""
    figure, axes = new_figure(WIDTH, 3.2)
    for k, progress in enumerate(finished, start=1):
        colour = f"C{(k - 1) % 10}"
        epochs = range(1, len(progress.history) + 1)
        axes.plot(epochs, [row.train_loss for row in progress.history], "--", color=colour, lw=0.8)
        validation = [row.validation_loss or np.nan for row in progress.history]
        axes.plot(epochs, validation, color=colour, lw=1.4, label=f"fold {k}")
        axes.plot(progress.best_row + 1, validation[progress.best_row], "o", color=colour)
    phases = dict.fromkeys(row.phase for progress in finished for row in progress.history)
    said = {"head": "the last layer alone", "finetune": "fine-tuning", "fit": "one fit"}
    axes.set(xlabel="epoch: " + ", then ".join(said[phase] for phase in phases))
    axes.set(ylabel="cross-entropy loss")
    axes.set_title("dashed: training, solid: validation, dot: chosen epoch", fontsize=9)
    if len(finished) <= 12:
        axes.legend(fontsize=8, ncols=2, frameon=False)
    return figure
