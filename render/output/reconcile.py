"""What earlier runs left in the folder: whether it still holds, stays, or goes when asked.

Has a recording changed since its pictures were made? Git's answer: while size and times of the file
are the same, it has not, and is not read; otherwise a checksum of every byte decides. So a second
run over a library does not read it again, a copied or touched file is not rendered anew, and an
edit in the middle that keeps the size is seen.
"""

import zlib
from collections.abc import Iterable
from pathlib import Path

from common.files import MAX_BYTES, TOO_LARGE
from render.audio.decode import DecodeError
from render.output.journal import Entry, Journal
from render.sources.folders import Recording

BLOCK = 1 << 20


def stamp(path: Path) -> tuple[int, ...]:
    """Size and times (of content and of inode, in ns) of the file. Raises DecodeError."""
    try:
        if not path.is_file():  # opening a pipe or a device would wait for ever
            raise DecodeError("not a regular file" if path.exists() else "no such file")
        status = path.stat()
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}") from error
    if status.st_size > MAX_BYTES:
        raise DecodeError(TOO_LARGE)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


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


def reconcile(out: Path, journal: Journal, recordings: Iterable[Recording], prune: bool) -> int:
    """Drop from the journal what is not to stay, with its pictures; how many entries stay.

    Dropped are recordings that are not asked for any more: with `prune` all of them, otherwise only
    those whose file is gone, if another bears their name now (they were moved) or they never had
    pictures. Raises ValueError when a recording would overwrite the pictures of another one that
    still exists.
    """
    asked = {r.source: r for r in recordings}
    names = {r.name.casefold(): r for r in asked.values()}
    kept = 0
    for source in journal:
        entry = journal[source]
        old = Path(entry.file)
        if source in asked:
            if not prune and _is_another(old, entry, asked[source].path):
                raise ValueError(_clash(out, old, asked[source]))
            continue
        same_name = names.get(entry.rows[0].recording.casefold()) if entry.rows else None
        gone = not old.is_file()
        if same_name and same_name.label == entry.rows[0].label and not gone and not prune:
            raise ValueError(_clash(out, old, same_name))
        if prune or (gone and (same_name or not entry.rows)):
            remove_pictures(out, (row.path for row in entry.rows))
            journal.drop(source)
        else:
            kept += 1
    return kept


def remove_pictures(out: Path, paths: Iterable[str]) -> None:
    """Delete pictures of `out`. Raises ValueError when a class folder is a link out of it."""
    for path in paths:
        picture = out / path
        if not picture.parent.resolve().is_relative_to(out.resolve()):
            raise ValueError(f"{picture.parent} leads out of {out}: nothing is removed there")
        picture.unlink(missing_ok=True)


def _is_another(old: Path, entry: Entry, new: Path) -> bool:
    """Is `new` other sound than what `entry` was made of, though that is still there, elsewhere?"""
    if old == new.absolute() or not old.is_file() or not new.is_file() or old.samefile(new):
        return False
    return fingerprint(new) != entry.fingerprint


def _clash(out: Path, old: Path, new: Recording) -> str:
    return (
        f"{out} holds pictures of {old}, which {new.path} would overwrite: both are called "
        f"{new.name}. Choose another --out, or --prune to remove the former"
    )
