"""Files that are whole or not there: a temporary name, then a rename."""

import csv
import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


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


def write_text(file: Path, text: str) -> None:
    """Write UTF-8 text, with the line ends that it has, as one whole file."""
    write_whole(file, lambda temporary: _write_bytes(temporary, text.encode()))


def write_csv(file: Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write the header and the rows as one whole CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(file, text.getvalue())


def _write_bytes(file: Path, content: bytes) -> None:
    file.write_bytes(content)
