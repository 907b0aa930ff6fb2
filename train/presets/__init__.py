"""Presets: each a short YAML file of options that one flag stands for."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.cli import Parser

FOLDER = Path(__file__).parent
PRESETS = {"quick": "minutes on a laptop", "best": "hours on a GPU"}


def add_presets(parser: "Parser") -> None:
    """Give the parser a flag for each preset."""
    for name, what in PRESETS.items():
        parser.add_argument(
            f"--{name}", action="store_true",
            help=f"{what}: train/presets/{name}.yaml, where you give no other value",
        )  # fmt: skip


def with_preset(parser: "Parser", arguments: list[str]) -> list[str]:
    """The arguments, with the options of a preset before all others, so that those given win."""
    named = [name for name in PRESETS if f"--{name}" in arguments]
    if len(named) > 1:
        parser.error(f"{' and '.join('--' + name for name in named)}: give one of them")
    return ["--config", str(FOLDER / f"{named[0]}.yaml"), *arguments] if named else arguments
