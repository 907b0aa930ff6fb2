"""What decoders written in C print to the terminal about damaged files, silenced.

libmpg123 writes a line for each bad frame of an mp3, 43 MB for one made for it, and libtiff for
each bad tag of a TIFF. None of it names the file; what is wrong with it is told by the exception.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Stream:
    """glibc's `stderr`, the pointer that every library in C prints to, and its replacement.

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


_stderr = _Stream()


@contextmanager
def c_stderr_silenced() -> Iterator[None]:
    """Inside, nothing that libraries in C write to `stderr` is shown; on glibc, elsewhere as ever.

    Python's own `sys.stderr` is not touched. May be entered by several threads at once.
    """
    _stderr.change(1)
    try:
        yield
    finally:
        _stderr.change(-1)
