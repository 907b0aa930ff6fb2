"""Cases in a process of their own, which is watched: its time, its memory, its exceptions."""

import contextlib
import math
import multiprocessing
import re
import shutil
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

MAX_SECONDS = 20.0
MAX_MEGABYTES = 1000.0  # above what the process had before the case


class Finding(NamedTuple):
    """A case that did harm."""

    kind: str
    seed: int
    what: str

    def __str__(self) -> str:
        return f"python -m tests.fuzz {self.kind} {self.seed}: {self.what}"


class Fuzzer:
    """A process that tries cases, started when it is needed and anew after it was killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def fuzz(
        self, kind: str, seconds: float, first: int = 0, most: float = math.inf
    ) -> Iterator[Finding | int]:
        """Try seed after seed for so long; the harm that was done, and in the end how many."""
        self._start()
        end, seed = time.monotonic() + seconds, first
        while (time.monotonic() < end and seed < first + most) or seed == first:
            if what := self.harm_of(kind, seed):
                yield Finding(kind, seed, what)
            seed += 1
        yield seed - first

    def harm_of(self, kind: str, seed: int) -> str:
        """What is wrong with how the case ended, or nothing."""
        connection = self._start()
        connection.send((kind, seed))
        if not connection.poll(MAX_SECONDS):
            self.end()
            return f"not done within {MAX_SECONDS:.0f} s"
        try:
            what: str = connection.recv()
        except EOFError:
            self.end()
            return "the process crashed"
        return what

    def _start(self) -> Connection:
        if self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=_work, args=(theirs, self._folder), daemon=True)
            self._process.start()
            theirs.close()
            assert self._connection.poll(300), "the worker does not start"
            self._connection.recv()
        return self._connection

    def end(self) -> None:
        if self._process and self._connection:
            self._process.kill()
            self._process.join()
            self._connection.close()
        self._process = self._connection = None


def _work(connection: Connection, folder: Path) -> None:
    from tests.fuzz.cases import run_case

    warnings.simplefilter("ignore")
    connection.send("ready")
    with contextlib.suppress(EOFError):
        while True:
            kind, seed = connection.recv()
            place = folder / "case"
            shutil.rmtree(place, ignore_errors=True)  # of a case that was killed
            place.mkdir()
            what = _harm(lambda: run_case(kind, seed, place))  # noqa: B023  it is called at once
            shutil.rmtree(place)
            connection.send(what)


def _harm(case: Callable[[], None]) -> str:
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory so far is forgotten
    base = _memory("VmRSS")
    try:
        case()
    except Exception:
        return traceback.format_exc()[-1500:]
    if (more := _memory("VmHWM") - base) > MAX_MEGABYTES:
        return f"{more:.0f} MB"
    return ""


def _memory(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1000
