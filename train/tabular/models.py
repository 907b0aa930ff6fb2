"""The classifiers of tables by name."""

from typing import Any

from train.config import TrainConfig
from train.tabular.baselines import BASELINES, Baseline
from train.tabular.network import TableNetwork

NETWORK = "fcnn"
MODELS = (NETWORK, *BASELINES)


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
