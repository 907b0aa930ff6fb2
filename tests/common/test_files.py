"""common.files: an older file survives whatever happens while it is written anew."""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.files import (
    LEFTOVER,
    whole_file,
    whole_path,
    write_csv,
    write_json,
    write_records,
    write_text,
)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.write_text("old")
    message = r"cannot write .*model\.pth: No space left"
    with pytest.raises(OSError, match=message), whole_path(file) as temporary:
        temporary.write_text("half")
        raise OSError("No space left on device")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_row_that_cannot_be_made_leaves_the_old_table(tmp_path: Path) -> None:
    file = tmp_path / "clips.csv"
    file.write_text("old")

    def rows() -> Iterator[tuple[int]]:
        yield (1,)
        raise ValueError("no second row")

    with pytest.raises(ValueError, match="no second row"):
        write_csv(file, ["n"], rows())
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_file_is_not_there_until_the_block_ends(tmp_path: Path) -> None:
    file = tmp_path / "new" / "journal.jsonl"
    with whole_file(file) as sink:
        sink.write(b"a line\n")
        assert not file.exists()
        (left,) = file.parent.iterdir()
        assert LEFTOVER.fullmatch(left.name), "what a kill would leave is known again"
    assert file.read_bytes() == b"a line\n"
    assert list(file.parent.iterdir()) == [file]


def test_an_error_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"cannot write .*taken/x\.txt"):
        write_text(tmp_path / "taken" / "x.txt", "")


def test_an_error_about_a_file_that_was_read_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.csv"), whole_file(tmp_path / "out"):
        (tmp_path / "missing.csv").read_text()


def test_a_name_of_255_bytes_is_written(tmp_path: Path) -> None:
    """The temporary name is not made of it: that would be longer than a file system takes."""
    file = tmp_path / ("é" * 125 + ".json")
    write_json(file, {"colour": "grün"})
    assert len(os.fsencode(file.name)) == 255
    assert json.loads(file.read_text(encoding="utf-8")) == {"colour": "grün"}


def test_records_are_written_by_column(tmp_path: Path) -> None:
    file = tmp_path / "clips.csv"
    write_records(file, ("path", "group"), iter([{"path": 'a,"b"', "n": 1}, {"group": "g"}]))
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert rows == [{"path": 'a,"b"', "group": ""}, {"path": "", "group": "g"}]
