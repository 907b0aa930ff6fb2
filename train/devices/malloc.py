"""Memory that stays with the process: the kernel zeroes every page that it hands out anew."""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
SETTINGS = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "LD_PRELOAD", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Have glibc keep what is freed, in large blocks too; returns whether it does.

    A batch's maps are tens of megabytes each, allocated and freed at every layer. By default glibc
    maps each of them anew and the kernel clears its pages, which takes as long as the arithmetic:
    normalising 32 pictures of 432x288 takes 22 instead of 78 ms, ResNet50 0.8 instead of 1.0 s
    (bench/RESULTS.md). Left alone where the user has chosen an allocator or its settings.
    """
    if any(name in os.environ for name in SETTINGS):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # Windows, macOS, musl
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
