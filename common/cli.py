"""What every script shares: flags and YAML from dataclasses, and the meaning of exit codes.

Exit codes: 0 done; 1 bad input; 2 wrong usage; 3 done, but some inputs were left out;
130 interrupted.
"""

import argparse
import dataclasses
import os
import re
import sys
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

from jsonargparse import ActionYesNo, ArgumentParser, DefaultHelpFormatter, Namespace

if TYPE_CHECKING:  # jsonargparse makes these as it runs; to mypy they are plain numbers
    PositiveInt: TypeAlias = int
    NonNegativeInt: TypeAlias = int
    PositiveFloat: TypeAlias = float
    NonNegativeFloat: TypeAlias = float
    OpenUnitInterval: TypeAlias = float
    ClosedUnitInterval: TypeAlias = float
else:
    from jsonargparse.typing import (  # noqa: F401 - for the settings of every room
        ClosedUnitInterval,
        NonNegativeFloat,
        NonNegativeInt,
        OpenUnitInterval,
        PositiveFloat,
        PositiveInt,
    )

from common.text import printable

# Read by onnxruntime when it is imported: it would report its use to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

DONE, BAD_INPUT, WRONG_USAGE, SOME_LEFT_OUT, INTERRUPTED = 0, 1, 2, 3, 130

Config = TypeVar("Config")


class _Help(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help that keeps the description's own lines."""


class Parser(ArgumentParser):
    """An argument parser whose every usage error is one line on stderr and exit code 2."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message as one line and exit with code 2."""
        flat = " ".join(message.replace("<class '", "").replace("'>", "").split())
        flat = re.sub(r'Parser key "(\w+)"', lambda key: flag(key[1]), flat)
        print(f"{self.prog}: {flat} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(WRONG_USAGE)


def option(default: Any, help: str) -> Any:
    """A dataclass field with its default and the one line of help that its flag shows."""
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata={"help": help})
    return dataclasses.field(default=default, metadata={"help": help})


def flag(name: str) -> str:
    """How the command line spells the option: "--" and hyphens."""
    return "--" + name.replace("_", "-")


def make_parser(prog: str, description: str, *configs: type) -> Parser:
    """A parser with `--config FILE.yaml` and one flag for each field of each dataclass.

    A field `learning_rate: float = option(0.01, "...")` becomes `--learning-rate`; a bool field
    becomes the pair `--name` and `--no-name`.
    """
    parser = Parser(prog=prog, description=description, allow_abbrev=False, formatter_class=_Help)
    parser.add_argument("--config", action="config", help="YAML file of these options, by name")
    for config in configs:
        group = parser.add_argument_group((config.__doc__ or config.__name__).split("\n")[0])
        hints = typing.get_type_hints(config)
        for field in dataclasses.fields(config):
            kwargs: dict[str, Any] = {"default": field.default, "help": field.metadata.get("help")}
            if callable(field.default_factory):
                kwargs["default"] = field.default_factory()
            if hints[field.name] is bool:
                kwargs["action"] = ActionYesNo(yes_prefix="", no_prefix="no-")
            else:
                kwargs["type"] = hints[field.name]
            group.add_argument(flag(field.name), **kwargs)
    return parser


def config_from(namespace: Namespace, config: type[Config]) -> Config:
    """The dataclass `config` filled from parsed flags; its own checks become usage errors."""
    values = {f.name: namespace[f.name] for f in dataclasses.fields(config)}  # type: ignore[arg-type]
    try:
        return config(**values)
    except ValueError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(WRONG_USAGE)


def run(main: Callable[[], int]) -> NoReturn:
    """Run a script's main and exit with its code; bad input is one line on stderr and code 1.

    ValueError and OSError are what our folders raise for bad input; anything else is a bug and
    keeps its traceback.
    """
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` closed our stdout: what was read was enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    except (ValueError, OSError) as error:
        print(f"error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        code = BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code)
