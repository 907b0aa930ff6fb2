"""Values that a file of someone else's holds, each checked for its type and bounds before use."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_TEXT = 1000  # characters of a name; file systems allow 255 bytes


@dataclass(frozen=True)
class Fields:
    """A mapping of plain values, as JSON, YAML or a checkpoint gives it.

    Every method returns the value of that name, or raises ValueError that names it, what it is and
    what was expected. where: the section, before the name in that message.
    """

    values: Mapping[str, Any]
    where: str = ""

    @classmethod
    def of(cls, values: object, where: str = "") -> "Fields":
        """The fields of `values`; ValueError if that is no mapping of names."""
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            raise ValueError(f"{where or 'it'} is {_short(values)}; expected names with values")
        return cls(values, where)

    def text(self, name: str, most: int = MAX_TEXT) -> str:
        """A text that is not empty, of at most so many characters."""
        value = self._value(name)
        if not isinstance(value, str) or not 0 < len(value) <= most:
            raise self._wrong(name, f"a text of 1 to {most} characters")
        return value

    def optional_text(self, name: str) -> str | None:
        """A text, or None where there is none."""
        return None if self.values.get(name) is None else self.text(name)

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(name, f"a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number in [low, high]."""
        value = self._value(name)
        if not _is_number(value) or not low <= value <= high:
            raise self._wrong(name, _range(low, high))
        return float(value)

    def numbers(
        self, name: str, n: int | None = None, low: float = -math.inf, high: float = math.inf
    ) -> tuple[float, ...]:
        """Finite numbers in [low, high], exactly `n` of them if given."""
        value = self._value(name)
        listed = isinstance(value, list | tuple) and n in (None, len(value))
        if not listed or not all(_is_number(x) and low <= x <= high for x in value):
            raise self._wrong(name, f"{'a list' if n is None else n} of {_range(low, high)}")
        return tuple(float(x) for x in value)

    def names(self, name: str, most: int) -> tuple[str, ...]:
        """One to `most` different texts, none of them empty."""
        value = self._value(name)
        if not isinstance(value, list | tuple) or not 0 < len(value) <= most:
            raise self._wrong(name, f"a list of 1 to {most} names")
        if not all(isinstance(x, str) and 0 < len(x) <= MAX_TEXT for x in value):
            raise self._wrong(name, f"names of 1 to {MAX_TEXT} characters")
        if len(set(value)) < len(value):
            raise self._wrong(name, "names that differ from each other")
        return tuple(value)

    def section(self, name: str) -> "Fields":
        """The fields of a mapping within."""
        return Fields.of(self._value(name), self._path(name))

    def optional_section(self, name: str) -> "Fields | None":
        """The fields of a mapping within, or None where there is none."""
        return None if self.values.get(name) is None else self.section(name)

    def _value(self, name: str) -> Any:
        if name not in self.values:
            raise ValueError(f"{self._path(name)} is missing")
        return self.values[name]

    def _path(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name

    def _wrong(self, name: str, expected: str) -> ValueError:
        return ValueError(f"{self._path(name)} is {_short(self.values[name])}; expected {expected}")


def _is_number(value: object) -> bool:
    # an int of a thousand digits cannot be compared with a float's bounds, nor become one
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 if isinstance(value, int) else math.isfinite(value)


def _range(low: float, high: float) -> str:
    if low == -math.inf and high == math.inf:
        return "finite numbers"
    return f"numbers from {low:g} to {high:g}"


def _short(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and abs(value) > 10**20:
        return "a whole number beyond 10^20"
    text = (
        repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    )
    return text if len(text) <= 60 else text[:57] + "..."
