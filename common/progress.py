"""What a command is doing now: one live line in a terminal, a line every 20 s in a log.

What is printed meanwhile stands above the live line, which is drawn again below it. The environment
variable SPECTROFOLD_PROGRESS=0 turns both off.
"""

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from common.streams import PrintableStream

if TYPE_CHECKING:
    from io import TextIOBase

SWITCH = "SPECTROFOLD_PROGRESS"
TICK, LOG_SECONDS = 0.5, 20.0
ERASE = "\r\x1b[K"

Item = TypeVar("Item")


@dataclass
class Stage:
    """A part of the work: what it is, and how much of it is done.

    total: None where that is not known beforehand; unit: of what, as "pictures".
    """

    what: str
    total: int | None = None
    unit: str = ""
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def update(self, n: int = 1) -> None:
        """`n` more are done."""
        self.done += n

    def line(self, now: float) -> str:
        """What is done and how long the rest will take, as "embedding: 20 of 80 pictures"."""
        seconds = now - self.started
        if not self.total:
            return f"{self.what}: {time_in_words(seconds)}"
        line = f"{self.what}: {self.done:,} of {self.total:,} {self.unit}".rstrip()
        if 0 < self.done <= self.total and seconds > 1:
            left = seconds / self.done * (self.total - self.done)
            line += f", {time_in_words(left)} left"
        return line


def time_in_words(seconds: float) -> str:
    """A time as "8 s", "3 min" or "2 h 10 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def stage(what: str, total: int | None = None, unit: str = "") -> Iterator[Stage]:
    """Inside, what is being done is shown; a stage inside another one is shown in its place."""
    one = Stage(what, total, unit)
    _display.begin(one)
    try:
        yield one
    finally:
        _display.end(one)


def tracked(
    items: Iterable[Item], what: str, total: int | None = None, unit: str = ""
) -> Iterator[Item]:
    """The items; while they are taken, how many have been is shown."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with stage(what, total, unit) as one:
        for item in items:
            yield item
            one.update()


class _Display:
    """The stages that have begun, innermost last, and the thread that shows the last one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stages: list[Stage] = []
        self.drawn = False
        self.mid_line = False
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self._terminal: TextIO | None = None
        self._said = 0.0

    def begin(self, one: Stage) -> None:
        with self.lock:
            self.stages.append(one)
            if len(self.stages) > 1 or not _wanted():
                return
            self._said = time.monotonic()
            self._terminal = _terminal()
            if self._terminal:
                sys.stdout, sys.stderr = _above(sys.stdout, self), _above(sys.stderr, self)
            if self._thread is None:
                self._thread = threading.Thread(target=self._show, daemon=True)
                self._thread.start()

    def end(self, one: Stage) -> None:
        with self.lock:
            self.stages = [other for other in self.stages if other is not one]
            if self.stages:
                return
            self.erase()
            sys.stdout, sys.stderr = _below(sys.stdout), _below(sys.stderr)
            self._thread = None

    def erase(self) -> None:
        """Take the live line away, before something else is written."""
        if self.drawn and self._terminal:
            self._terminal.write(ERASE)
            self._terminal.flush()
        self.drawn = False

    def _show(self) -> None:
        own = threading.current_thread()
        while True:
            time.sleep(TICK)
            with self.lock:
                if self._thread is not own:
                    return
                self._tell(self.stages[-1].line(time.monotonic()))

    def _tell(self, line: str) -> None:
        if self._terminal and not self.mid_line:
            width = os.get_terminal_size(self._terminal.fileno()).columns or 80
            self._terminal.write(ERASE + line[: width - 1])
            self._terminal.flush()
            self.drawn = True
        elif not self._terminal and time.monotonic() - self._said >= LOG_SECONDS:
            print(line, file=sys.stderr, flush=True)
            self._said = time.monotonic()


class _Above:
    """A stream to the terminal whose text stands above the live line."""

    def __init__(self, stream: TextIO, display: _Display) -> None:
        self.stream, self._display = stream, display

    def write(self, text: str) -> int:
        with self._display.lock:
            self._display.erase()
            n = self.stream.write(text)
            if text:
                self._display.mid_line = not text.endswith(("\n", "\r"))
            self.stream.flush()  # before the live line is drawn, by another stream
            return n

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _above(stream: Any, display: _Display) -> Any:
    try:
        return _Above(stream, display) if stream.isatty() else stream
    except (AttributeError, ValueError):  # none, or closed
        return stream


def _below(stream: "TextIOBase | Any") -> Any:
    return stream.stream if isinstance(stream, _Above) else stream


def is_first_process() -> bool:
    """Whether this is the first of several processes, which speaks for all.

    By the number that torchrun or SLURM gave it, which is known before there is a device.
    """
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"


def _wanted() -> bool:
    return is_first_process() and os.environ.get(SWITCH) != "0"


def _terminal() -> TextIO | None:
    """Standard error if it is a terminal on which a line can be drawn anew."""
    try:
        if os.environ.get("TERM") != "dumb" and sys.stderr.isatty():
            os.get_terminal_size(sys.stderr.fileno())
            stream: Any = sys.stderr
            return stream.stream if isinstance(stream, PrintableStream) else stream
    except (AttributeError, ValueError, OSError):
        pass
    return None


def _forget() -> None:
    """A forked process has no such thread, and nobody who would release its lock."""
    sys.stdout, sys.stderr = _below(sys.stdout), _below(sys.stderr)
    _display.__init__()  # type: ignore[misc]


_display = _Display()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
