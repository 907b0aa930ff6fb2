"""Files that are whole or not there: a temporary name, then a rename."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


def write_whole(file: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary path beside `file`, then give it that name.

    An error or a crash in between leaves an older `file` as it was; an OSError names `file`.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        write(temporary)
        temporary.replace(file)
    except OSError as error:
        raise OSError(f"cannot write {file}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(file: Path, content: bytes) -> None:
    """Write one whole file of these bytes."""
    write_whole(file, lambda temporary: _write_bytes(temporary, content))


def write_text(file: Path, text: str) -> None:
    """Write UTF-8 text, with the line ends that it has, as one whole file."""
    write_bytes(file, text.encode())


def write_csv(file: Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write the header and the rows, taken one at a time, as one whole CSV file in UTF-8."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

    write_whole(file, write)


@contextmanager
def open_csv(file: Path) -> Iterator[TextIO]:
    """The file, open for Python's csv. Raises ValueError naming it when it is no CSV in UTF-8."""
    if not file.is_file():
        raise ValueError(f"{file} is missing" if not file.exists() else f"{file} is not a file")
    csv.field_size_limit(1 << 24)  # stories of FMA's artists are longer than Python's 128 KiB
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            yield text
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read as CSV in UTF-8: {error}") from error


def _write_bytes(file: Path, content: bytes) -> None:
    file.write_bytes(content)
