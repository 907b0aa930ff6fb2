"""Visitors' files are decoded in processes of their own, with little memory, that can be killed.

A decoder of pictures or sound meets bytes that were made to keep it busy, to fill the memory, to
fill the log or to crash it. None of this may reach the page, or the visitor who comes next.
"""

import contextlib
import multiprocessing
import queue
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from app.config import Limits
from common.pictures import open_picture
from inference.clips import Clip, Cutting, Preprocessing, is_picture
from inference.output import clock

EXTRA_BYTES = 1_000_000_000  # of memory, beyond what a decoder has when it starts
TOO_MUCH = "it needs more memory than a visitor's file may"
CRASHED = "it cannot be read: its decoder crashed"


class Decoders:
    """Processes that turn files into clips, `n` of them at a time; safe to use from threads."""

    def __init__(self, preprocessing: Preprocessing, limits: Limits, n: int = 2) -> None:
        self._all = [_Decoder(Preprocessing(preprocessing.facts), limits) for _ in range(n)]
        self._idle: queue.Queue[_Decoder] = queue.Queue()
        for decoder in self._all:
            self._idle.put(decoder)

    def start(self) -> None:
        """Start the processes before the first visitor comes; without it, the first file does."""
        for decoder in self._all:
            decoder.start()

    def pids(self) -> list[int]:
        """The numbers of the processes that run."""
        return [pid for decoder in self._all if (pid := decoder.pid) is not None]

    @contextmanager
    def clips(self, path: str, deadline: float) -> Iterator[Iterator[Clip]]:
        """The clips of a file, which raise ValueError when it is unreadable or over a limit.

        deadline: a monotonic time at which the decoder is killed, with TimeoutError.
        """
        try:
            decoder = self._idle.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutError from None
        try:
            yield decoder.clips(path, deadline)
        finally:
            decoder.rest()
            self._idle.put(decoder)

    def close(self) -> None:
        """End the processes."""
        for decoder in self._all:
            decoder.kill()


class _Decoder:
    """One process, started when it is needed, and anew after it was killed."""

    def __init__(self, preprocessing: Preprocessing, limits: Limits) -> None:
        self._preprocessing, self._limits = preprocessing, limits
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._busy = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> Connection:
        if self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(
                target=_decode, args=(theirs, self._preprocessing, self._limits), daemon=True
            )
            self._process.start()
            theirs.close()
        return self._connection

    def clips(self, path: str, deadline: float) -> Iterator[Clip]:
        self._busy = True
        try:
            connection = self.start()
            connection.send(path)
            while True:
                if not connection.poll(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                item = connection.recv()
                if isinstance(item, Clip):
                    yield item
                    continue
                self._busy = False
                if item is None:
                    return
                raise ValueError(item)
        except (EOFError, ConnectionError):
            raise ValueError(f"{path}: {CRASHED}") from None

    def rest(self) -> None:
        """Be ready for the next file: a process that is still at the last one is replaced."""
        if self._busy:
            self.kill()
            self.start()

    def kill(self) -> None:
        if self._process is not None and self._connection is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
        self._process = self._connection = None
        self._busy = False


def _decode(connection: Connection, preprocessing: Preprocessing, limits: Limits) -> None:
    """Answer each path with its clips and None, or with why it is refused; until the page ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the page
    _limit_memory()
    with contextlib.suppress(EOFError, ConnectionError, KeyboardInterrupt):
        while True:
            path = connection.recv()
            try:
                for clip in _checked_clips(path, preprocessing, limits):
                    connection.send(clip)
                said = None
            except (ValueError, OSError) as error:
                said = str(error) or CRASHED
            except MemoryError:
                said = f"{path}: {TOO_MUCH}"
            except Exception as error:  # a decoder's own kinds, for bytes that it did not expect
                said = f"{path}: it cannot be read ({type(error).__name__})"
            connection.send(said)


def _limit_memory() -> None:
    """Let this process have EXTRA_BYTES more than it has now, where the system can tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return
    import resource

    (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmData:"))
    limit = int(line.split()[1]) * 1024 + EXTRA_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _checked_clips(path: str, preprocessing: Preprocessing, limits: Limits) -> Iterator[Clip]:
    """The clips of a file within the limits; ValueError in words otherwise."""
    if is_picture(path):
        try:
            with open_picture(path) as image:
                pixels = image.width * image.height / 1e6
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if pixels > limits.max_megapixels:
            most = short(limits.max_megapixels)
            raise ValueError(f"{path}: {short(pixels)} million pixels; at most {most}")
        yield preprocessing.of_picture(path)
        return
    if preprocessing.facts.render is not None:
        from render.audio.decode import probe

        try:
            seconds = probe(Path(path)).seconds
        except ValueError as error:
            raise ValueError(f"{path}: neither a picture nor a recording ({error})") from None
        _check_seconds(path, seconds, limits)
    for clip in preprocessing.of_recording(path, Cutting()):
        if clip.span:
            _check_seconds(path, clip.span[1], limits)
        yield clip


def _check_seconds(path: str, seconds: float, limits: Limits) -> None:
    if seconds > 60 * limits.max_minutes:
        most = clock(60 * limits.max_minutes)
        raise ValueError(f"{path}: longer than {most}; python predict.py takes any length")


def short(number: float) -> str:
    """Two decimals at most, and none of a whole number."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
