"""YAML of anybody's: aliases of aliases, which stand for gigabytes, and endless nesting."""

from typing import Any

import yaml
from jsonargparse._loaders_dumpers import yaml_load

MAX_VALUES = 100_000


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
