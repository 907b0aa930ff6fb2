"""Standard output and error, whatever stands behind them: a terminal, a pipe, nothing.

Errors as a line, and what decoders written in C print about damaged files, silenced.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from common.text import escaped, printable

# What errors say of memory that there is not: of torch, of ONNX Runtime, and of libraries.
OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED", "bad_alloc",
    "Failed to allocate memory", "failed to map segment",
)  # fmt: skip


class PrintableStream:
    """A text stream to which a stranger's name writes nothing but what can be seen.

    Line breaks and tabs are kept, and the carriage return that a progress bar begins with. Letters
    that the stream's encoding has not, as of LANG=C, are written as JSON does, too. When its reader
    has gone, as of `| head`, the rest goes nowhere and `unread` is true: the work goes on.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.unread = stream, False
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write the text, as `printable` has it."""
        shown = printable(text, keep="\n\t")
        if not _has(self._encoding, shown):
            shown = "".join(one if _has(self._encoding, one) else escaped(one) for one in shown)
        with self._going_on():
            self.stream.write("\r" + shown[6:] if text.startswith("\r") else shown)
        return len(text)

    def flush(self) -> None:
        """Write what waits."""
        with self._going_on():
            self.stream.flush()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self.unread = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)
        except OSError as error:
            name = getattr(self.stream, "name", "stream")
            raise OSError(f"cannot write to {name}: {error.strerror or error}") from None

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _has(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def open_streams() -> tuple[TextIO, TextIO]:
    """Standard output and error, which lead nowhere if they are closed, as by `>&-`.

    So does standard input: else the next file that is opened would be taken for one of them.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(opened)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    return sys.stdout, sys.stderr


def error_line(error: Exception) -> str | None:
    """What a user is told of bad input, or of too little memory, as one line; None of a bug.

    ValueError and OSError are what our folders raise for bad input.
    """
    told = printable(" ".join(str(error).split()))
    if not is_out_of_memory(error):
        return told if isinstance(error, ValueError | OSError) else None
    less = "close other programs, raise its limit (ulimit -v), or ask for less at once"
    return f"out of memory ({told[:200]}); {less}" if told else f"out of memory; {less}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory, on whatever device."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


class _CStderr:
    """glibc's `stderr`, the pointer that every library in C prints to, and its replacement.

    libmpg123 writes a line for each bad frame of an mp3, 43 MB for one made for it, and libtiff for
    each bad tag of a TIFF. None of it names the file; what is wrong with it is told by the
    exception.

    File descriptor 2 stays as it is: what Python, this process's children and other threads write
    to it is shown.
    """

    def __init__(self) -> None:
        self._lock, self._users = threading.Lock(), 0
        self._pointer: ctypes.c_void_p | None = None
        self._null = self._own = None
        if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "gnu_get_libc_version"):
            libc.fopen.restype = ctypes.c_void_p
            self._pointer = ctypes.c_void_p.in_dll(libc, "stderr")
            self._own = self._pointer.value
            self._null = libc.fopen(os.devnull.encode(), b"w")

    def change(self, n: int) -> None:
        """`n` more users, or fewer: the first silences it and the last lets it speak again."""
        with self._lock:
            self._users += n
            if self._pointer is not None and self._null is not None:
                self._pointer.value = self._null if self._users else self._own


_c_stderr = _CStderr()


@contextmanager
def c_stderr_silenced() -> Iterator[None]:
    """Inside, nothing that libraries in C write to `stderr` is shown; on glibc, elsewhere as ever.

    Python's own `sys.stderr` is not touched. May be entered by several threads at once.
    """
    _c_stderr.change(1)
    try:
        yield
    finally:
        _c_stderr.change(-1)
