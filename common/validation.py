"""The values of a dataclass against its annotations: a file's values are checked as flags are."""

import sys
import types
import typing
from functools import lru_cache
from typing import Any, Literal


def check_fields(config: Any) -> None:
    """Raise ValueError naming the first field of the dataclass whose value does not fit its type.

    Understood are bool, int, float (finite), str, containers (without their elements), Literal,
    X | None, and jsonargparse's restricted numbers such as PositiveInt.
    """
    kind: Any = type(config)
    for name, hint in _hints(kind).items():
        value = getattr(config, name)
        if not _fits(value, hint):
            raise ValueError(f"{flag(name)} {value!s:.80}: must be {expected(hint)}")


def flag(name: str) -> str:
    """How the command line spells an option: "--" and hyphens."""
    return "--" + name.replace("_", "-")


def expected(hint: Any) -> str:
    """What a value of this type is, in words: "a whole number > 0", "one of db, pcen"."""
    if typing.get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, typing.get_args(hint)))}"
    if _is_union(hint):
        kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
        return " or ".join(map(expected, kinds))
    words = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}
    if hasattr(hint, "_restrictions"):
        condition = hint._expression.replace("v", "").replace(">", "> ").replace("<", "< ")
        return f"{words[hint._type]} {condition.replace('> =', '>= ').replace('< =', '<= ')}"
    return words.get(hint) or f"a {(typing.get_origin(hint) or hint).__name__}"


@lru_cache(maxsize=64)
def _hints(config: type) -> dict[str, Any]:
    return typing.get_type_hints(config)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) is Literal:
        return any(value == word and type(value) is type(word) for word in typing.get_args(hint))
    if _is_union(hint):
        return any(_fits(value, kind) for kind in typing.get_args(hint))
    if isinstance(value, bool):  # Python's bool is an int
        return hint is bool
    base = getattr(hint, "_type", hint)
    if base is float:
        if not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            return False
    elif not isinstance(value, typing.get_origin(base) or base):
        return False
    return all(check(value, bound) for check, bound in getattr(hint, "_restrictions", ()))
