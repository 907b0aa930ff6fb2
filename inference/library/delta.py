"""What turns a tagged file back into the one before it, byte for byte, in little room.

A tagged file is the old one with a few bytes changed, and perhaps all others moved. Of the old
file's blocks, those that stand in the new one at the same distance from its start or its end are
named, and the bytes of the others are kept.
"""

import struct
import zlib
from itertools import pairwise

import numpy as np

BLOCK = 256  # bytes
HEAD = struct.Struct("<QQI")  # bytes of the old file and of the new one, number of steps
STEP = struct.Struct("<BQQ")  # kind; place in the new file, bytes; or 0, bytes that are kept
COPY, KEPT = 0, 1


def delta(old: bytes, new: bytes) -> bytes:
    """What `restored` needs beside `new` to make `old` again."""
    before, after = np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)
    n = min(len(old), len(new))
    same_start = np.zeros(len(old), bool)
    same_start[:n] = before[:n] == after[:n]
    same_end = np.zeros(len(old), bool)
    if n:
        same_end[-n:] = before[-n:] == after[-n:]
    starts = np.arange(0, len(old), BLOCK)
    from_start = np.logical_and.reduceat(same_start, starts) if len(old) else starts
    from_end = np.logical_and.reduceat(same_end, starts) if len(old) else starts
    kinds = np.where(from_start, 0, np.where(from_end, 1, 2))  # of each block
    edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]
    steps, kept = [], []
    for first, last in pairwise(edges):
        if first == last:
            continue
        place, end = first * BLOCK, min(last * BLOCK, len(old))
        if kinds[first] == 2:
            steps.append(STEP.pack(KEPT, 0, end - place))
            kept.append(old[place:end])
        else:
            shift = 0 if kinds[first] == 0 else len(new) - len(old)
            steps.append(STEP.pack(COPY, place + shift, end - place))
    head = HEAD.pack(len(old), len(new), len(steps))
    return zlib.compress(b"".join([head, *steps, *kept]))


def restored(new: bytes, change: bytes) -> bytes:
    """The old file. Raises ValueError when the change is damaged or of another file."""
    try:
        plain = zlib.decompress(change)
        n_old, n_new, n_steps = HEAD.unpack_from(plain)
        place = HEAD.size + n_steps * STEP.size
        parts = []
        for i in range(n_steps):
            kind, start, count = STEP.unpack_from(plain, HEAD.size + i * STEP.size)
            if kind == COPY:
                parts.append(new[start : start + count])
            else:
                parts.append(plain[place : place + count])
                place += count
    except (zlib.error, struct.error) as error:
        raise ValueError(f"what was kept for undo is damaged ({error})") from None
    old = b"".join(parts)
    if len(old) != n_old or len(new) != n_new:
        raise ValueError("what was kept for undo is of another file")
    return old
