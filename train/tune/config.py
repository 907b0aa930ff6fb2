"""Options of python -m train.tune."""

from dataclasses import dataclass
from typing import Literal

from common.cli import PositiveInt, option


@dataclass(frozen=True)
class TuneConfig:
    """Search"""

    trials: PositiveInt = option(
        30, "number of trials in all, those that the storage already has included"
    )
    storage: str = option(
        "runs/tune/search.db", "SQLite file of the search; what is found is written beside it"
    )
    backbones: str | None = option(
        None, "networks to choose from as well, as resnet50,convnext_tiny"
    )
    only: str | None = option(
        None, "the only options to search, as dropout,batch_size; default all"
    )
    minimise: Literal["loss", "error"] = option(
        "loss", "loss or error of the held-out pictures of all folds, which is minimised"
    )
