"""docs/options.md: every option of every command, from the dataclasses that the commands parse.

python -m spectrofold.reference        writes it anew
"""

import dataclasses
import importlib
import typing
from pathlib import Path
from typing import NoReturn

from common.validation import expected, flag
from spectrofold.__main__ import COMMANDS

FILE = Path(__file__).resolve().parents[1] / "docs" / "options.md"
INTRODUCTION = """# Every option

Written by `python -m spectrofold.reference` from the commands themselves. Each option can also
stand in a YAML file for `--config FILE`, by its name with underscores; options on the command line
win. Switches have a `--no-` form.
"""


class _Asked(Exception):
    """A command asked for its parser: with that its options are known."""

    def __init__(self, program: str, configs: tuple[type, ...]) -> None:
        super().__init__(program)
        self.program, self.configs = program, configs


def reference() -> str:
    """The whole page as Markdown."""
    parts, known = [INTRODUCTION], dict[type, str]()
    for module, _ in COMMANDS.values():
        asked = _options_of(module)
        own = [config for config in asked.configs if config not in known]
        parts.append(f"\n## `{asked.program}`\n\n")
        for other in dict.fromkeys(known[config] for config in asked.configs if config in known):
            parts.append(f"Also takes options of `{other}` that concern it.\n\n")
        parts.append("| option | what | value | default |\n|---|---|---|---|\n")
        parts += [row + "\n" for config in own for row in _rows(config)]
        known |= dict.fromkeys(own, asked.program)
    return "".join(parts)


def _options_of(name: str) -> _Asked:
    def make_parser(program: str, _: str, *configs: type) -> NoReturn:
        raise _Asked(program, configs)

    module = importlib.import_module(name)
    real, module.make_parser = module.make_parser, make_parser  # type: ignore[attr-defined]
    try:
        module.main()
    except _Asked as asked:
        return asked
    finally:
        module.make_parser = real  # type: ignore[attr-defined]
    raise ValueError(f"{name} makes no parser")


def _rows(config: type) -> list[str]:
    hints = typing.get_type_hints(config)
    return [
        f"| `{flag(field.name)}` | {_cell(field.metadata.get('help', ''))} | "
        f"{_cell(_value(hints[field.name]))} | {_default(field)} |"
        for field in dataclasses.fields(config)
    ]


def _value(hint: object) -> str:
    return "switch" if hint is bool else expected(hint)


def _default(field: "dataclasses.Field[object]") -> str:
    default = field.default
    if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if default is None or default is False or default == "":
        return ""
    return "on" if default is True else f"`{default}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
