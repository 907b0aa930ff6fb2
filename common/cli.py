"""What every script shares: flags and YAML from dataclasses, and the meaning of exit codes.

Exit codes: 0 done; 1 bad input; 2 wrong usage; 3 done, but some inputs were left out;
130 interrupted.
"""

import argparse
import dataclasses
import difflib
import gc
import glob
import os
import re
import sys
import tempfile
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TextIO, TypeAlias, TypeVar, cast

import yaml
from jsonargparse import (  # type: ignore[attr-defined]  # ActionConfigFile
    ActionConfigFile,
    ActionYesNo,
    ArgumentParser,
    DefaultHelpFormatter,
    Namespace,
    set_loader,
)
from jsonargparse.typing import restricted_number_type

from common.files import near
from common.streams import PrintableStream, error_line, open_streams
from common.text import load_yaml, printable
from common.validation import check_fields, expected, flag

if TYPE_CHECKING:  # jsonargparse makes these as it runs; to mypy they are plain numbers
    PositiveInt: TypeAlias = int
    NonNegativeInt: TypeAlias = int
    AtLeastTwo: TypeAlias = int
    PositiveFloat: TypeAlias = float
    NonNegativeFloat: TypeAlias = float
    OpenUnitInterval: TypeAlias = float
    UnitIntervalWithout0: TypeAlias = float
    UnitIntervalWithout1: TypeAlias = float
    UpToHalf: TypeAlias = float
    Seed: TypeAlias = int
    UpToTwenty: TypeAlias = int
    BelowHalf: TypeAlias = float
else:
    from jsonargparse.typing import (  # noqa: F401 - for the settings of every room
        NonNegativeFloat,
        NonNegativeInt,
        OpenUnitInterval,
        PositiveFloat,
        PositiveInt,
    )

    number = restricted_number_type
    AtLeastTwo = number("AtLeastTwo", int, (">=", 2))
    UnitIntervalWithout0 = number("UnitIntervalWithout0", float, [(">", 0), ("<=", 1)])
    UnitIntervalWithout1 = number("UnitIntervalWithout1", float, [(">=", 0), ("<", 1)])
    UpToTwenty = number("UpToTwenty", int, [(">=", 1), ("<=", 20)])
    UpToHalf = number("UpToHalf", float, [(">", 0), ("<=", 0.5)])
    Seed = number("Seed", int, [(">=", 0), ("<", 2**31)])  # other seeds are made of it
    BelowHalf = number("BelowHalf", float, [(">=", 0), ("<", 0.5)])

# Read by onnxruntime when it is imported: it would report its use to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

set_loader("yaml", load_yaml, exceptions=(yaml.YAMLError,))

KERNELS = "TORCHINDUCTOR_CACHE_DIR"  # where torch.compile keeps what it has made

DONE, BAD_INPUT, WRONG_USAGE, SOME_LEFT_OUT, INTERRUPTED = 0, 1, 2, 3, 130

# Titles of groups of options, in the order of the help; a group of another name precedes them.
GROUPS = (
    "Most used",
    "Songs",
    "Data",
    "Split",
    "Model",
    "Training",
    "Augmentation",
    "Output",
    "Hardware",
)

Config = TypeVar("Config")


class _Help(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help with the description's own lines, types in words, and no list of all options on top."""

    def add_usage(
        self, usage: str | None, actions: Iterable[argparse.Action], *args: Any, **kwargs: Any
    ) -> None:
        """`prog [options] INPUT ...`."""
        names = {None: "{}", "?": "[{}]", "*": "[{} ...]", "+": "{} [{} ...]"}
        inputs = [
            names[action.nargs].replace("{}", str(action.metavar or action.dest))  # type: ignore[index]
            for action in actions
            if not action.option_strings
        ]
        super().add_usage(" ".join(["%(prog)s [options]", *inputs]), [], *args, **kwargs)

    def _get_help_string(self, action: argparse.Action) -> str:
        hint = getattr(action, "hint", None)
        if hint is None:  # of an input, or of an option like --help: its text says it all
            return action.help or ""
        facts = [] if _is_choice(hint) or hint in (bool, str, str | None) else [expected(hint)]
        if action.default not in (None, "", False):
            facts.append(f"default {'yes' if action.default is True else action.default}")
        return f"{action.help} ({'; '.join(facts)})" if facts else action.help or ""


class _HelpAll(argparse.Action):
    """Print the help of every option, and exit."""

    def __call__(self, parser: Any, *_: object) -> None:
        print(parser.help_of_all(), end="")
        sys.exit(DONE)


class _Version(argparse.Action):
    """Print which version of the project this is, and exit."""

    def __call__(self, *_: object) -> None:
        print(f"spectrofold {project_version()}")
        sys.exit(DONE)


def project_version() -> str:
    """The version of the installed package, or of the clone."""
    try:
        return metadata.version("spectrofold")
    except metadata.PackageNotFoundError:
        text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
        found = re.search(r'^version = "(.*)"', text, flags=re.MULTILINE)
        return found[1] if found else "unknown"


class _Config(ActionConfigFile):
    """`--config`: a file, or a folder for its config.yaml."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
        path = Path(values)
        file = path / "config.yaml" if path.is_dir() else path
        if not file.is_file():
            parser.error(f"--config {values}: no such file{near(file)}")
        self.apply_config(parser, cfg, self.dest, str(file))


class Parser(ArgumentParser):
    """An argument parser whose every usage error is one line on stderr and exit code 2."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Read before all other options, which take precedence wherever they stand.
        self._leading = argparse.ArgumentParser(
            add_help=False, allow_abbrev=False, exit_on_error=False
        )
        self._file_of: dict[str, Callable[[str], Path]] = {}
        self.given: frozenset[str] = frozenset()

    def format_help(self, *formatter: Any) -> str:
        """The help of the options that matter first, and the names of the others."""
        groups = {group.title: group for group in self._action_groups}
        if GROUPS[0] not in groups:
            return self.help_of_all(*formatter)
        titles = [title for title in GROUPS[1:] if title in groups]
        others = [action for title in titles for action in groups[title]._group_actions]
        texts = [action.help for action in others]
        for action in others:
            action.help = argparse.SUPPRESS
        short = self.help_of_all(*formatter)
        for action, text in zip(others, texts, strict=True):
            action.help = text
        names = {
            title: ", ".join(one.option_strings[0] for one in groups[title]._group_actions)
            for title in titles
        }
        lines = [
            textwrap.fill(
                f"{title}: {listed}",
                100,
                initial_indent="  ",
                subsequent_indent="    ",
                break_on_hyphens=False,
            )
            for title, listed in names.items()
        ]
        return "\n".join([short, "More options, explained by --help-all:", *lines, ""])

    def help_of_all(self, *formatter: Any) -> str:
        """The help of every option."""
        text: str = super().format_help(*formatter)
        return text

    def add_defaults_option(self, name: str, file_of: Callable[[str], Path], **kwargs: Any) -> None:
        """Add an option whose value leads to a config file; options given beside it win.

        name: "--quick"; file_of: from the option's value (or its name, if it takes none) to the
        file; kwargs: of add_argument. One of these options can be given at a time.
        """
        self.add_argument(name, **kwargs).hint = str
        dest = name.removeprefix("--").replace("-", "_")
        if kwargs.get("action") == "store_true":
            self._leading.add_argument(name, dest=dest, action="store_const", const=dest)
        else:
            self._leading.add_argument(name, dest=dest)
        self._file_of[dest] = file_of

    def add_presets(self, folder: Path) -> None:
        """Add `--<name>` for each <name>.yaml of the folder; its first line says what it is for."""
        for file in sorted(folder.glob("*.yaml")):
            about = file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
            self.add_defaults_option(
                f"--{file.stem}",
                lambda name: folder / f"{name}.yaml",
                action="store_true",
                help=f"{about} ({folder.parent.name}/{folder.name}/{file.name})",
            )

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *others: Any, **kwargs: Any
    ) -> Namespace:
        """The options: defaults, then those of a preset's file, then those given, in order.

        `given` are then the names of those on the command line and in the file of --config.
        """
        try:
            leading, _ = self._leading.parse_known_args(args)
        except argparse.ArgumentError as error:
            self.error(str(error))
        values = {name: value for name, value in vars(leading).items() if value is not None}
        if len(values) > 1:
            self.error(f"{' and '.join(map(flag, values))}: give one of them")
        files = [self._file_of[name](value) for name, value in values.items()]
        self.default_config_files = [glob.escape(str(file)) for file in files]
        parsed = super().parse_args(args, *others, **kwargs)
        self.default_config_files = []
        without_defaults = kwargs | {"defaults": False}
        self.given = frozenset(super().parse_args(args, *others, **without_defaults).keys())
        self.default_config_files = [glob.escape(str(file)) for file in files]
        return parsed

    def refuse_changes(self, args: Namespace, *configs: type) -> None:
        """A usage error if an option was given beside an option of `add_defaults_option`."""
        own = self.get_defaults()
        for field in (field for config in configs for field in dataclasses.fields(config)):
            if args[field.name] != own[field.name]:
                self.error(
                    f"{flag(field.name)} {args[field.name]}: the interrupted run has "
                    f"{own[field.name]}, and --resume changes no option; to start anew, give "
                    f"--config {args.resume}/config.yaml"
                )

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message as one line and exit with code 2."""
        flat = " ".join(message.replace("<class '", "").replace("'>", "").split())
        print(f"{self.prog}: {self._in_words(flat)} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(WRONG_USAGE)

    def _in_words(self, message: str) -> str:
        """jsonargparse's message; of a value of the wrong type, only the value and the type."""
        if unknown := re.search(r"nrecognized arguments: (--[\w-]+)", message):
            known = [option for action in self._actions for option in action.option_strings]
            near = difflib.get_close_matches(unknown[1], known, n=1)
            return f"no option {unknown[1]}" + (f"; did you mean {near[0]}?" if near else "")
        if found := re.search(r"nrecognized arguments: ([^-].*)", message):
            return (
                f"{found[1]} is one word too many, or stands behind an option: give it before all "
                "options"
            )
        hints = {action.dest: getattr(action, "hint", None) for action in self._actions}
        key = re.search(r'(?:Parser key "|argument (?:--)?)([\w-]+)', message)
        value = re.search(r"(?:Got|Given) value: (.*?)(?: \(see|$)", message)
        name = key[1].replace("-", "_") if key else ""
        if value and hints.get(name) is not None:
            return f"{flag(name)} {value[1]}: must be {expected(hints[name])}"
        return re.sub(r'Parser key "(\w+)"', lambda found: flag(found[1]), message)


def option(default: Any, help: str, group: str = "") -> Any:
    """A dataclass field with its default and the help of its flag.

    group: title under which the help shows it, one of `GROUPS`; by default the first line of the
    dataclass's docstring.
    """
    metadata = {"help": help, "group": group}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def make_parser(prog: str, description: str, *configs: type) -> Parser:
    """A parser with `--config FILE.yaml` and one flag for each field of each dataclass.

    A field `learning_rate: float = option(0.01, "...")` becomes `--learning-rate`; a bool field
    becomes the pair `--name` and `--no-name`. Ranges, as of PositiveInt, are checked by
    `config_from`.
    """
    parser = Parser(prog=prog, description=description, allow_abbrev=False, formatter_class=_Help)
    about = "YAML file of these options, by name, or the folder of a run, which holds one"
    parser.add_argument("--config", action=_Config, help=about)
    parser.add_argument("--help-all", action=_HelpAll, nargs=0, help="explain every option")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    grouped: dict[str, list[tuple[dataclasses.Field[Any], Any]]] = {}
    for config in configs:
        hints = typing.get_type_hints(config)
        for field in dataclasses.fields(config):
            title = field.metadata.get("group") or (config.__doc__ or "").split("\n")[0]
            grouped.setdefault(title, []).append((field, hints[field.name]))
    for title in sorted(grouped, key=lambda title: title in GROUPS and 1 + GROUPS.index(title)):
        group = parser.add_argument_group(title)
        for field, hint in grouped[title]:
            _add_field(group, field, hint)
    return parser


def _add_field(group: Any, field: "dataclasses.Field[Any]", hint: Any) -> None:
    factory = field.default_factory
    kwargs: dict[str, Any] = {
        "default": factory() if callable(factory) else field.default,
        "help": field.metadata.get("help"),
    }
    plain = _without_range(hint)
    if hint is bool:
        kwargs["action"] = ActionYesNo(yes_prefix="", no_prefix="no-")
    else:
        kwargs["type"] = plain
        if not _is_choice(hint):
            numbers = {int: "N", float: "X", int | None: "N", float | None: "X"}
            kwargs["metavar"] = numbers.get(plain, field.name.rpartition("_")[2].upper())
    group.add_argument(flag(field.name), **kwargs).hint = hint


def _without_range(hint: Any) -> Any:
    """The type without a range: `config_from` says more clearly what is wrong with a number."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [_without_range(kind) for kind in typing.get_args(hint)]
        return typing.Union[tuple(kinds)]  # noqa: UP007  X | Y takes no list
    return getattr(hint, "_type", hint)


def _is_choice(hint: Any) -> bool:
    return any(typing.get_origin(kind) is Literal for kind in (hint, *typing.get_args(hint)))


def config_from(namespace: Namespace, config: type[Config]) -> Config:
    """The dataclass `config` filled from parsed flags; a value out of range is a usage error."""
    values = {f.name: namespace[f.name] for f in dataclasses.fields(config)}  # type: ignore[arg-type]
    try:
        made = config(**values)
        check_fields(made)
    except ValueError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(WRONG_USAGE)
    return made


def run(main: Callable[[], int]) -> NoReturn:
    """Run a script's main and exit with its code; bad input is one line on stderr and code 1.

    ValueError and OSError are what our folders raise for bad input; anything else is a bug and
    keeps its traceback.
    """
    # torch makes this folder as it is imported, else one in the temporary folder, and leaves it
    # there. What compiles (train/loop/fit.py) names a better one; all else needs one that exists.
    os.environ.setdefault(KERNELS, tempfile.gettempdir())
    streams = open_streams()
    sys.stdout, sys.stderr = (cast(TextIO, PrintableStream(one)) for one in streams)
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads the answers any more: what was read was enough
        code = DONE
    except (ValueError, OSError, MemoryError, ImportError, RuntimeError) as error:
        if not (line := error_line(error)):
            raise
        print(f"error: {line}", file=sys.stderr)
        code = BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    finally:
        sys.stdout, sys.stderr = streams
    # Else the interpreter looks, as it ends, for garbage in all that torch has made: 2 s after the
    # answer instead of 0.3 s until the prompt comes back.
    gc.freeze()
    sys.exit(code)
