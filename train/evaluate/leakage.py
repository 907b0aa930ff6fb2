"""How much of an accuracy is owed to having trained on the same recordings."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common.intervals import mean_interval
from data.splits import scarce_classes
from train.loop.inference import apply

if TYPE_CHECKING:
    from train.loop.trainer import Trainer

N_REPEATS = 2
# Stronger than scikit-learn's 1: there are more features than pictures.
INVERSE_REGULARISATION = 0.01


def leak_report(trainer: "Trainer", examples: Any, n_folds: int) -> list[str]:
    """`leak_lines` of the examples that are not augmented, by the trainer's untrained backbone.

    examples: labels, groups and augmented (n,), in the order of the trainer's pictures.
    """
    usable = np.flatnonzero(~examples.augmented)
    trainer.model.to(trainer.fabric.device).eval()
    with trainer.fabric.autocast():
        rows = apply(trainer.model.features, trainer.batches(usable), trainer.fabric.device)
    labels, groups = examples.labels[usable], examples.groups[usable]
    return leak_lines(leak_check(rows, labels, groups, n_folds=n_folds, seed=trainer.config.seed))


def leak_check(
    embeddings: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, n_folds: int, seed: int
) -> dict[str, Any]:
    """Accuracies in [0, 1] of a logistic regression cross-validated by picture and by group.

    embeddings float (n, F) of the frozen backbone; labels int (n,); groups (n,). Returns
    by_picture, by_group, leak (their difference), n_groups, and interval_95 of the leak, which
    counts groups, not pictures.
    """
    n_folds = min(n_folds, int(np.bincount(labels).max()))  # else no class can be stratified
    right = {"by_picture": np.zeros(len(labels)), "by_group": np.zeros(len(labels))}
    for repeat in range(N_REPEATS):
        kwargs: dict[str, Any] = {"shuffle": True, "random_state": seed + repeat}
        by_group = StratifiedGroupKFold(n_folds, **kwargs)
        with scarce_classes():
            splits = {
                "by_picture": [*StratifiedKFold(n_folds, **kwargs).split(embeddings, labels)],
                "by_group": [*by_group.split(embeddings, labels, groups)],
            }
        for name, split in splits.items():
            for train, held_out in split:
                model = make_pipeline(
                    StandardScaler(), LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000)
                ).fit(embeddings[train], labels[train])
                predicted = model.predict(embeddings[held_out])
                right[name][held_out] += (predicted == labels[held_out]) / N_REPEATS
    gain = right["by_picture"] - right["by_group"]
    return {
        "by_picture": float(right["by_picture"].mean()),
        "by_group": float(right["by_group"].mean()),
        "leak": float(gain.mean()),
        "interval_95": mean_interval(gain, groups),
        "n_groups": len(np.unique(groups)),
    }


def leak_lines(found: dict[str, Any]) -> list[str]:
    """The answer of `leak_check` in a few lines."""
    low, high = (100 * end for end in found["interval_95"])
    return [
        f"split by picture: accuracy {found['by_picture']:.3f}",
        f"split by group:   accuracy {found['by_group']:.3f} ({found['n_groups']} groups)",
        f"the leak is worth {100 * found['leak']:.1f} points of accuracy (95 % interval {low:.1f} "
        f"to {high:.1f}); frozen features and logistic regression, cross-validated both ways",
    ]
