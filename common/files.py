"""Files that are whole or not there: written under a temporary name, then renamed."""

import csv
import difflib
import io
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, TextIO
from uuid import uuid4

# What a killed process leaves beside the file that it was writing: a name of `whole_path`.
LEFTOVER = re.compile(r"\.[0-9a-f]{32}\.part")


MAX_BYTES = 2**36  # of a recording: a day of eight channels; a file of holes can promise more
TOO_LARGE = f"larger than {MAX_BYTES >> 30} GiB: no recording"


@contextmanager
def changing(file: Path) -> Iterator[None]:
    """The right to change a file; ValueError while another process has it."""
    from filelock import FileLock, Timeout

    lock = FileLock(f"{file}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{file} is being changed by another process; wait until it has ended"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, for a library that opens its file itself; then renamed.

    After an error or a crash inside the block an older `path` is as it was. OSErrors name `path`.
    """
    temporary = path.with_name(f".{uuid4().hex}.part")  # of no other process, on no other machine
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename not in (None, str(temporary), str(path.parent)):
            raise  # about another file, that was to be read
        raise OSError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # it was renamed, or could not be made
            temporary.unlink()


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write to, under a temporary name; it becomes `path` when the block ends."""
    with whole_path(path) as temporary, temporary.open("wb") as file:
        yield file


def write_bytes(path: Path, content: bytes) -> None:
    """Write the content as one whole file."""
    with whole_file(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, with the line ends that it has, as one whole file."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write the value as indented JSON, as one whole file."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write the names of the columns and the rows, one at a time, as one whole UTF-8 CSV file."""
    with whole_file(path) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_records(
    path: Path, columns: Sequence[str], records: Iterable[Mapping[str, object]]
) -> None:
    """`write_csv` of records by column; a cell that a record lacks stays empty."""
    write_csv(path, columns, ([record.get(name, "") for name in columns] for record in records))


def digest_of(file: Path) -> str:
    """SHA-256 of the file's bytes, 64 hexadecimal digits."""
    seen = sha256()
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            seen.update(block)
    return seen.hexdigest()


def absolute(path: str | Path) -> Path:
    """The path from the root, without "..", and links as they are named."""
    return Path(os.path.normpath(Path(path).absolute()))


def near(path: str | Path) -> str:
    """ "; did you mean MUSIC?" for a path at which nothing is, if its folder has such a name."""
    wanted = Path(path)
    try:
        names = [entry.name for entry in wanted.parent.iterdir()]
    except (OSError, ValueError):  # there is no such folder either, or cannot be
        return ""
    found = difflib.get_close_matches(wanted.name, names, n=1, cutoff=0.8)
    return f"; did you mean {wanted.with_name(found[0])}?" if found else ""


def check_regular(path: str | Path) -> None:
    """Raise ValueError, which names it, unless there is a file of that name that has an end."""
    try:
        facts = Path(path).stat()
    except OSError as error:  # a link to itself, or in a folder that is not to be read
        absent = isinstance(error, FileNotFoundError)
        reason = f"no such file{near(path)}" if absent else error.strerror
        raise ValueError(f"{path}: {reason}") from None
    except ValueError as error:  # a name that no file can have
        raise ValueError(f"{path}: {error}") from None
    if stat.S_ISDIR(facts.st_mode):
        raise ValueError(f"{path}: a folder, not a file")
    if facts.st_size > MAX_BYTES:
        raise ValueError(f"{path}: {TOO_LARGE}")
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError(f"{path}: a device or a pipe, not a file; - reads standard input")


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """(columns, rows) of a CSV in UTF-8, all of one length.

    Raises ValueError that names the file if it is none, or the row that has another length.
    """
    with open_csv(path) as lines:
        reader = csv.reader(lines)
        columns, rows = next(reader, []), []
        for row in reader:
            if len(row) != len(columns):
                where = f"{path}, line {reader.line_num}"
                raise ValueError(f"{where}: {len(row)} cells under {len(columns)} columns")
            rows.append(row)
    return columns, rows


def probabilities_in(cells: Iterable[str], path: Path) -> list[float]:
    """The probabilities in some cells of a row; ValueError that names the file if one is none."""
    try:
        values = [float(cell) for cell in cells]
    except ValueError as error:
        raise ValueError(f"{path}: a probability is no number ({error})") from None
    if not all(0 <= value <= 1.001 for value in values):
        raise ValueError(f"{path}: {values} are no probabilities; expected numbers from 0 to 1")
    return values


@contextmanager
def open_csv(path: Path) -> Iterator[TextIO]:
    """The file, open for Python's csv. Raises ValueError naming it when it is no CSV in UTF-8."""
    if not path.is_file():
        raise ValueError(f"{path} is missing" if not path.exists() else f"{path} is not a file")
    csv.field_size_limit(1 << 24)  # stories of FMA's artists are longer than Python's 128 KiB
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            yield text
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as CSV in UTF-8: {error}") from error
