"""What the tags of a music file say; and genres into them, and never half a file.

mutagen is imported where it is used: it takes a tenth of a second, and not every command needs it.
"""

import os
import shutil
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from common.files import check_regular

# Of ID3, for files whose tags mutagen has no easy names for.
FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "albumartist": "TPE2",
    "album": "TALB",
    "date": "TDRC",
    "genre": "TCON",
}
MOST_ESCAPES = 1_000_000  # bytes of an ID3 tag that may be escapes
MOST_COPIED = 10**10  # bytes that reading an ID3 tag may copy: two seconds
MOST_BYTES = 2**24  # of a compressed frame, once it is not
MOST_CHARACTERS = 100_000  # of all these tags together: an index holds them, a terminal shows them


@dataclass(frozen=True)
class SongTags:
    """What a file's tags say of it; "" and () where they say nothing. date: begins with a year."""

    title: str = ""
    artist: str = ""
    albumartist: str = ""
    album: str = ""
    date: str = ""
    genres: tuple[str, ...] = ()


def read_tags(path: Path) -> SongTags:
    """The tags of a file; empty ones if it has none, none that can be read, or a book of them."""
    try:
        check_regular(path)  # a pipe would be waited for
        file = _mutagen().File(path, easy=True)
        if file is None or file.tags is None:
            return SongTags()
        said = {name: _values(file, name) for name in FRAMES}
    except Exception:  # a stranger's bytes may make it stumble anywhere: recursion, struct, memory
        return SongTags()
    if sum(len(value) + 8 for values in said.values() for value in values) > MOST_CHARACTERS:
        return SongTags()
    genres = tuple(said.pop("genre"))
    return SongTags(**{name: "; ".join(values) for name, values in said.items()}, genres=genres)


def spelling(name: str) -> str:
    """What all spellings of a name share: letters and digits alone, without accents, in one case.

    Hip-Hop, HIP HOP and hiphop are the same.
    """
    plain = unicodedata.normalize("NFKD", name.replace("&", " and ").replace("'n'", " and "))
    return "".join(letter for letter in plain.casefold() if letter.isalnum())


def genres_of(path: Path) -> tuple[str, ...]:
    """The genres that a file's tags name.

    Raises ValueError when the file's format takes no tags or they cannot be read.
    """
    try:
        return tuple(_values(_opened(path), "genre"))
    except Exception as error:  # as in `read_tags`
        raise ValueError(f"{path}: its tags cannot be read ({error})") from None


@contextmanager
def retagged(path: Path, genres: Sequence[str]) -> Iterator[Path]:
    """A copy beside the file that has these genres, and is gone at the end unless it was renamed.

    Raises ValueError when the file's format takes no tags or its tags cannot be written.
    """
    copy = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        try:
            shutil.copy2(path, copy)
            _write(copy, genres)
        except Exception as error:  # as in `read_tags`
            raise ValueError(f"{path}: its tags cannot be written ({error})") from None
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _mutagen() -> Any:
    """The library, to which an ID3 tag is bounded: see `_check_id3` and `_decompressed`."""
    import mutagen
    from mutagen.id3 import _frames, _tags

    def checked(header: Any, data: bytes, known: Any) -> Any:
        _check_id3(data, 6 if header.version < (2, 3) else 10)
        return read_frames(header, data, known)

    if not hasattr(_tags, "checked"):
        read_frames: Any = _tags.read_frames
        vars(_frames)["zlib"] = SimpleNamespace(error=zlib.error, decompress=_decompressed)
        vars(_tags)["read_frames"] = vars(_tags)["checked"] = checked
    return mutagen


def _check_id3(data: bytes, n_head: int) -> None:
    """Raise ValueError for a tag that would take minutes or gigabytes to read.

    mutagen copies what follows each frame, and takes 90 bytes for each 255 that it unescapes.
    """
    if data.count(0xFF) > MOST_ESCAPES:
        raise ValueError("an ID3 tag of nothing but escapes")
    for bits in (7, 8):  # of a byte of a size: which of them is not known for sure
        place = n_frames = 0
        while place < len(data) and data[place] and n_frames * len(data) <= MOST_COPIED:
            size = data[place + 4 : place + 8] if n_head == 10 else data[place + 3 : place + 6]
            place += n_head + sum(byte << bits * i for i, byte in enumerate(reversed(size)))
            n_frames += 1
        if n_frames * len(data) > MOST_COPIED:
            raise ValueError("an ID3 tag of too many frames")


def _decompressed(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    plain = stream.decompress(data, MOST_BYTES)
    if not stream.eof:
        raise zlib.error(f"damaged, or more than {MOST_BYTES} bytes")
    return plain


def _opened(path: Path) -> Any:
    mutagen = _mutagen()
    file = mutagen.File(path, easy=True)
    if file is None:
        raise mutagen.MutagenError("mutagen knows no tags of this format")
    if file.tags is None:
        file.add_tags()
    return file


def _write(path: Path, genres: Sequence[str]) -> None:
    from mutagen.id3 import TCON, ID3Tags

    file = _opened(path)
    if isinstance(file.tags, ID3Tags):
        file.tags.setall("TCON", [TCON(encoding=3, text=list(genres))])
    else:
        file.tags["genre"] = list(genres)
    file.save()


def _values(file: Any, name: str) -> list[str]:
    from mutagen.id3 import ID3Tags

    if not isinstance(file.tags, ID3Tags):
        return [str(value) for value in file.tags.get(name, [])]
    frames = file.tags.getall(FRAMES[name])  # WAV and AIFF
    if name == "genre":
        return [str(genre) for frame in frames for genre in frame.genres]
    return [str(text) for frame in frames for text in frame.text]
