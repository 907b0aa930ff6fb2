"""M3U playlists, read: the files that they list."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def playlist_entries(file: Path) -> Iterator[Path]:
    """The files that an M3U or M3U8 playlist lists, relative ones from its folder; no streams.

    UTF-8, or where it is none Latin-1, as older players wrote. Raises ValueError if it cannot be
    read.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    for line in text.splitlines():
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        if entry.startswith("file://"):
            with suppress(ValueError):  # file://[ is no address: another program's, like a stream
                yield Path(url2pathname(urlsplit(entry).path))
        elif "://" not in entry:
            path = Path(entry.replace("\\", "/"))
            yield file.parent / path
