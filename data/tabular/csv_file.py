"""A CSV of anybody's as cells and numbers, with numpy only: ONNX prediction has no torch.

Spreadsheets and archives write UTF-8, UTF-16 and Windows-1252, cells between commas, semicolons,
tabs or blanks, decimal commas, a column of row numbers without a name, and no header.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path

import numpy as np

from common.files import near
from common.text import printable

MISSING = ("", "na", "n/a", "nan", "none", "null", "?")
NAMES = (
    "path",
    "filename",
    "file",
    "track_id",
    "id",
)  # what may name a row, the first that is there
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
JUDGED = 50  # lines by which the delimiter is told
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark begins alike
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f]")
DECIMAL_COMMA = re.compile(r"[+-]?(\d*|\d{1,3}(\.\d{3})+),\d+([eE][+-]?\d+)?")
DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+")
NUMBERED = "feature_"  # and its number: the name of a column in a file without a header


@dataclass(frozen=True)
class Cells:
    """The rows of a table by the names of its columns; decimal commas are points.

    has_header: whether the names are the file's own; first_line: that of the first row; notes: how
    the file was read, where that is not as commonly.
    """

    header: list[str]
    rows: list[dict[str, str]]
    has_header: bool
    first_line: int
    notes: list[str]


def read_rows(file: Path, columns: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """(names (n,), values float32 (n, F)) of the rows of `file` in the columns of a model.

    Raises ValueError that names the columns it lacks, or a cell that is no number.
    """
    cells = read_cells(file)
    if cells.has_header and all(name.startswith(NUMBERED) for name in columns):
        numbered = read_cells(file, header=False)
        cells = cells if set(columns) <= set(cells.header) else numbered
    header, rows = cells.header, cells.rows
    lacking = [name for name in columns if name not in header]
    if lacking:
        raise ValueError(f"{file} lacks the model's columns {some_of(lacking)}")
    values = np.full((len(rows), len(columns)), np.nan, dtype=np.float32)
    for i, row in enumerate(rows):
        for j, name in enumerate(columns):
            number = number_of(row[name])
            if number is None:
                line = i + cells.first_line
                raise ValueError(f"{file} line {line}: {name} is {row[name]!r:.80}, not a number")
            values[i, j] = number
    return row_names(header, rows).tolist(), values


def read_cells(file: Path, *, header: bool = True) -> Cells:
    """The table in the file; one whose first line is numbers has no header whatever is asked for.

    header: whether the first line has the names of the columns, which else are feature_1, ...
    Raises ValueError naming the file when it is no table.
    """
    if not file.is_file():
        raise ValueError(f"no table at {file}{near(file)}")
    text, encoding = _decoded(file)
    delimiter, text, skipped = _delimiter_of(text)
    try:
        lines = list(_lines_of(text, delimiter))
    except csv.Error as error:
        raise ValueError(f"{file} cannot be read as CSV: {error}") from None
    if not lines:
        raise ValueError(
            f"{file} is empty; expected a line of column names and a row per recording"
        )
    names = [name.strip() for name in lines[0]]
    header = header and not all(number_of(_pointed(name, delimiter)) is not None for name in names)
    rows = lines[1:] if header else lines
    if not header:
        names = [f"{NUMBERED}{i}" for i in range(1, len(lines[0]) + 1)]
    names, rows = _of_one_width(file, names, rows, first_line=1 + header + skipped)
    commas = delimiter != "," and _has_decimal_commas(rows)
    if commas:
        rows = [[_pointed(cell, delimiter) for cell in row] for row in rows]
    return Cells(
        header=_unique(names),
        rows=[dict(zip(_unique(names), row, strict=True)) for row in rows],
        has_header=header,
        first_line=1 + header + skipped,
        notes=_notes(encoding, delimiter, commas=commas, header=header, n_columns=len(names)),
    )


def _decoded(file: Path) -> tuple[str, str]:
    """(text, encoding) of a file; ValueError when it is no text."""
    content = file.read_bytes()
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "")
    if not encoding and b"\0" in content[:4096]:  # UTF-16 without its mark: zeros beside ASCII
        start = np.frombuffer(content[: 4096 // 2 * 2][: len(content) // 2 * 2], np.uint8)
        halves = (start.reshape(-1, 2) == 0).mean(axis=0)
        encoding = "utf-16-be" if halves[0] > halves[1] else "utf-16-le"
    for name in (encoding,) if encoding else ("utf-8", "cp1252", "latin-1"):
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        if found := NOT_TEXT.search(text):
            raise ValueError(f"{file} is no CSV: it has the byte {found[0]!r} in it")
        return text, name
    raise ValueError(f"{file} cannot be read as CSV in {encoding.upper()}")


def _delimiter_of(text: str) -> tuple[str, str, int]:
    """(delimiter, the text of the table, lines before it): what cuts all lines alike."""
    if found := re.match(r"sep=(.)\r?\n", text):  # Excel's own first line
        return found[1], text[found.end() :], 1
    best, most = ",", (False, 0.0, 0.0)
    for delimiter in DELIMITERS:
        try:
            lines = list(islice(_lines_of(text, delimiter), JUDGED))
        except csv.Error:
            continue
        widths = Counter(len(line) for line in lines)
        width, n_alike = max(widths.items(), key=lambda item: item[1], default=(0, 0))
        if width < 2 or (delimiter == " " and most[1]):  # blanks are in texts as well
            continue
        cells = [cell for line in lines for cell in line]
        whole = sum(not _is_uncut(cell, delimiter) for cell in cells) / len(cells)
        score = (len(lines[0]) in (width - 1, width), n_alike / len(lines), whole)
        if score > most:
            best, most = delimiter, score
    return best, text, 0


def _is_uncut(cell: str, delimiter: str) -> bool:
    """Whether another delimiter is in a cell, as when the wrong one was taken."""
    if delimiter != "," and DECIMAL_COMMA.fullmatch(cell.strip()):
        return False
    return any(other in cell for other in DELIMITERS if other not in (delimiter, " "))


def _lines_of(text: str, delimiter: str) -> Iterator[list[str]]:
    """The cells of each line that is not empty."""
    csv.field_size_limit(1 << 24)  # stories of FMA's artists are longer than Python's 128 KiB
    blanks = delimiter == " "
    lines: Iterable[str] = StringIO(text, newline="")
    if blanks:
        lines = (line.strip() for line in text.split("\n"))
    found = csv.reader(lines, delimiter=delimiter, skipinitialspace=blanks)
    return (line for line in found if line)


def _of_one_width(
    file: Path, names: list[str], rows: list[list[str]], *, first_line: int
) -> tuple[list[str], list[list[str]]]:
    """Names and rows of as many cells; a first column without a name are R's row numbers."""
    if rows and all(len(row) == len(names) + 1 for row in rows):
        if not any(row[-1].strip() for row in rows):  # a delimiter at the end of each line
            return names, [row[:-1] for row in rows]
        return ["", *names], rows
    for number, row in enumerate(rows, start=first_line):
        if len(row) != len(names):
            raise ValueError(
                f"{file} line {number} has {len(row)} cells, not {len(names)} as the first; "
                "expected a table of features: a CSV with as many cells in each line"
            )
    return names, rows


def _has_decimal_commas(rows: list[list[str]]) -> bool:
    cells = [cell.strip() for row in rows[:1000] for cell in row]
    n_commas = sum(DECIMAL_COMMA.fullmatch(cell) is not None for cell in cells)
    n_points = sum(DECIMAL_POINT.fullmatch(cell) is not None and not THOUSANDS.fullmatch(cell)
                   for cell in cells)  # fmt: skip
    return n_commas > n_points


def _pointed(cell: str, delimiter: str) -> str:
    """A number with a decimal comma as one with a point; other cells as they are."""
    bare = cell.strip()
    if delimiter == "," or not (DECIMAL_COMMA.fullmatch(bare) or THOUSANDS.fullmatch(bare)):
        return cell
    return bare.replace(".", "").replace(",", ".")


def _unique(names: list[str]) -> list[str]:
    """The names, those that are there already with a number behind."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return found


def _notes(
    encoding: str, delimiter: str, *, commas: bool, header: bool, n_columns: int
) -> list[str]:
    """How a file was read, in a sentence; nothing where it is as files commonly are."""
    said = []
    if encoding not in ("utf-8", "utf-8-sig"):
        said.append(f"as {'Windows-1252' if encoding == 'cp1252' else encoding.upper()}")
    if delimiter != ",":
        between = DELIMITERS.get(delimiter, repr(delimiter))
        said.append(f"with {between} between cells{' and decimal commas' * commas}")
    if not header:
        said.append(f"without a header: its columns are {NUMBERED}1 to {NUMBERED}{n_columns}")
    return [f"the table is read {', '.join(said)}"] if said else []


def row_names(header: list[str], rows: list[dict[str, str]]) -> np.ndarray:
    """A unique name for each row, str (n,)."""
    for name in NAMES:
        if name in header and len({row[name] for row in rows}) == len(rows):
            return np.array([row[name] for row in rows])
    return np.array([f"row {i}" for i in range(1, len(rows) + 1)])


def is_missing(cell: str) -> bool:
    """Whether a cell says that nothing is known."""
    return cell.strip().lower() in MISSING


def number_of(cell: str) -> float | None:
    """The cell as a number: NaN when it is empty or infinite, None when it is text."""
    if is_missing(cell):
        return float("nan")
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(np.float32(value)) else float("nan")


def some_of(names: Iterable[str]) -> str:
    """The first eight names, for a message."""
    listed = [printable(name) for name in names]
    return ", ".join(listed[:8]) + (", ..." if len(listed) > 8 else "")
