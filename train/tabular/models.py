"""The classifiers of tables by name."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from train.config import TrainConfig
from train.tabular.baselines import BASELINES, Baseline
from train.tabular.network import TableNetwork

NETWORK = "fcnn"
MODELS = (NETWORK, *BASELINES)


# A table has few rows and its network no pretrained weights: by the defaults of fine-tuning, 100
# rows of ten classes are answered no better than by chance (bench/RESULTS.md).
DEFAULTS: dict[str, Any] = {
    "epochs": 100,
    "patience": 20,
    "plateau_patience": 8,
    "learning_rate": 0.1,
}


def with_defaults(config: TrainConfig, given: Collection[str]) -> TrainConfig:
    """The options with a table's own defaults in place of those that were not given."""
    return replace(config, **{name: v for name, v in DEFAULTS.items() if name not in given})


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
