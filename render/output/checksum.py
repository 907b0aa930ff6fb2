"""Has a recording changed since its pictures were made?

Git's answer: while size and times of the file are the same, it has not, and is not read; otherwise
a checksum of every byte decides. So a second run over a library does not read it again, a copied or
touched file is not rendered anew, and an edit in the middle that keeps the size is seen.
"""

import zlib
from pathlib import Path

from render.audio.decode import DecodeError

BLOCK = 1 << 20


def stamp(path: Path) -> list[int]:
    """Size and times (of content and of inode, in ns) of the file. Raises DecodeError."""
    try:
        if not path.is_file():  # opening a pipe or a device would wait for ever
            raise DecodeError("not a regular file" if path.exists() else "no such file")
        facts = path.stat()
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}") from error
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]


def fingerprint(path: Path) -> str:
    """Size and CRC-32 of all bytes of the file. Raises DecodeError when it cannot be read.

    One edit in four thousand million would be missed; hashing takes four times as long.
    """
    size = crc = 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                size, crc = size + len(block), zlib.crc32(block, crc)
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}") from error
    return f"{size}-{crc:08x}"
