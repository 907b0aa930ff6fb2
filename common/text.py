"""Texts of others: names for people's eyes and for files that a line break would break, and YAML.

YAML of anybody's can hold aliases of aliases, which stand for gigabytes, and nest endlessly.
"""

import re
from contextlib import suppress
from typing import Any

import yaml
from jsonargparse._loaders_dumpers import yaml_load

MAX_VALUES = 100_000  # that a YAML text may stand for

# What is not seen or moves the reader's eye: control characters, line and paragraph separators,
# bidirectional marks, invisible formatting, and the halves of pairs that no encoding can write.
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str, keep: str = "") -> str:
    r"""The text, in which what cannot be seen, but `keep`, is written as JSON does: \u202e."""
    return UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else escaped(found[0]), text)


def escaped(character: str) -> str:
    r"""A character as JSON writes it: \\u202e."""
    code = ord(character)
    if code > 0xFFFF:  # as the pair that JSON writes
        high, low = divmod(code - 0x10000, 0x400)
        return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
    return f"\\u{code:04x}"


def as_utf8(text: str) -> str:
    """The text as UTF-8 can hold it."""
    with suppress(UnicodeEncodeError):
        text.encode()
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def load_yaml(text: str) -> Any:
    """What the text says, as jsonargparse reads it; YAMLError if it stands for too much."""
    try:
        if "*" in text:  # without an alias, what is read is no longer than the text
            _count(yaml.compose(text, Loader=yaml.SafeLoader), {})
        return yaml_load(text)  # type: ignore[no-untyped-call]
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None


def _count(node: Any, counts: dict[int, int]) -> int:
    """The number of values of a node, with each alias in it written out; YAMLError if too many."""
    if id(node) not in counts:
        counts[id(node)] = MAX_VALUES + 1  # while it is counted: a node that holds itself
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        values = (one for part in parts for one in (part if isinstance(part, tuple) else (part,)))
        counts[id(node)] = 1 + sum(_count(one, counts) for one in values)
    if counts[id(node)] > MAX_VALUES:
        raise yaml.YAMLError(f"its aliases stand for more than {MAX_VALUES} values")
    return counts[id(node)]
