"""Who is told how training goes: the terminal, TensorBoard, and Weights & Biases if asked for."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from train.loop.state import HEAD, EpochRow, Progress

MOST_ROWS = 20  # of a table in the terminal
FIGURES = ("learning_rate", "train_loss", "validation_loss", "validation_accuracy")


class EpochLog:
    """Writes curves of every phase of every fold, and with `verbose` prints a line per epoch.

    The curves go to TensorBoard in the folder `run`, and to the Weights & Biases project `wandb`,
    with `options` as the run's configuration; ValueError when that cannot be had.
    """

    def __init__(
        self,
        run: Path,
        n_folds: int,
        *,
        wandb: str | None = None,
        options: dict[str, Any],
        verbose: bool = False,
    ) -> None:
        self._n_folds, self._verbose = n_folds, verbose
        self._wandb = _wandb_run(wandb, run, options) if wandb else None
        self._writer = SummaryWriter(str(run / "tensorboard"))

    def epoch(self, fold: int, row: EpochRow) -> None:
        """Log one epoch of a fold."""
        curve = f"fold_{fold}/{row.phase}"
        values = row.to_dict()  # a refit validates nothing
        figures = {key: values[key] for key in FIGURES if key in values}
        for key, value in figures.items():
            self._writer.add_scalar(f"{curve}/{key}", value, row.epoch)
        if self._wandb:
            self._wandb.define_metric(f"{curve}/*", step_metric=f"{curve}/epoch")
            figures["epoch"] = row.epoch
            self._wandb.log({f"{curve}/{key}": value for key, value in figures.items()})
        if row.phase != HEAD:
            self._say(fold, f"{row.phase} epoch {row.epoch:3d}", row)

    def head(self, fold: int, progress: Progress) -> None:
        """Say how well the head alone does: its epochs take milliseconds and get no line each."""
        self._say(fold, f"head, {progress.epoch} epochs ", progress.history[progress.best_row])

    def _say(self, fold: int, what: str, row: EpochRow) -> None:
        if not self._verbose:
            return
        who = f"fold {fold}/{self._n_folds}" if fold <= self._n_folds else "refit"
        said = f"{who:8s}  {what:18s}  loss {row.train_loss:.3f}"
        if row.validation_loss is not None:
            said += f"  validation loss {row.validation_loss:.3f}"
            said += f"  accuracy {row.validation_accuracy:.3f}"
        print(f"{said}  learning rate {row.learning_rate:.2g}", flush=True)

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()
        if self._wandb:
            self._wandb.finish()


def fold_table(folds: Sequence[Progress]) -> str:
    """A row for each of the first folds: epochs, accuracy and loss of the best one, held out."""
    rows = [("fold", "epochs", "accuracy", "loss")]
    for number, fold in enumerate(folds[:MOST_ROWS], 1):
        best = fold.history[fold.best_row] if fold.history else None
        if best and best.validation_accuracy is not None and best.validation_loss is not None:
            figures = (f"{best.validation_accuracy:.3f}", f"{best.validation_loss:.3f}")
            rows.append((f"{number} of {len(folds)}", str(len(fold.history)), *figures))
    return "\n".join("  " + "  ".join(f"{cell:>8s}" for cell in row) for row in rows)


def _wandb_run(project: str, run: Path, options: dict[str, Any]) -> Any:
    """A run of Weights & Biases; its files lie in `run`/wandb."""
    if find_spec("wandb") is None:
        raise ValueError(
            f"--wandb {project}: pip install wandb, or leave it out: TensorBoard's curves and "
            "history.csv are always written"
        )
    import wandb

    try:
        return wandb.init(project=project, name=run.name, dir=run, config=options)
    except wandb.Error as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"--wandb {project}: {reason}; log in with `wandb login`, or set WANDB_MODE=offline"
        ) from None


class Silent:
    """A log that says nothing."""

    def epoch(self, fold: int, row: EpochRow) -> None:
        """Nothing."""

    def head(self, fold: int, progress: Progress) -> None:
        """Nothing."""
