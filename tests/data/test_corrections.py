"""data.corrections: what is said of files, kept in a table that several may add to at once."""

import csv
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data.corrections import (
    COLUMNS,
    Correction,
    add_correction,
    beside,
    correction_of,
    digest_of,
    file_of,
    read_corrections,
)


def said(number: int, label: str, by: str = "anna") -> Correction:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return Correction(digest, f"songs/{number}.flac", label, "2026-11-24T10:00:00+00:00", by)


def test_the_last_word_on_a_file_counts(tmp_path: Path) -> None:
    table = beside(tmp_path / "model.pth")
    for one in (said(1, "jazz"), said(2, "rock"), said(1, "blues", 'bert, "the\nsecond"')):
        add_correction(table, one)
    first, second = read_corrections(table)
    assert (first.label, second.label) == ("rock", "blues")
    assert second.by == 'bert, "the\\u000asecond"'  # one line a row, whatever a visitor typed
    with table.open(newline="") as rows:
        assert tuple(next(csv.reader(rows))) == COLUMNS
    assert file_of(first, table) == tmp_path / "songs/2.flac"


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    song = tmp_path / "a song.flac"
    song.write_bytes(b"music" * 500_000)
    found = correction_of(song, "jazz", "anna")
    assert found.digest == digest_of(song) == hashlib.sha256(song.read_bytes()).hexdigest()
    assert Path(found.path) == song.resolve()
    assert found.when.endswith("+00:00")
    assert correction_of(song, "jazz", "anna", kept_as="corrections/x.flac").path.startswith("corr")


def test_rows_of_many_writers_are_whole(tmp_path: Path) -> None:
    table = tmp_path / "corrections.csv"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: add_correction(table, said(n, "jazz" * 500)), range(60)))
    assert len(read_corrections(table)) == 60


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("digest,path\n", "no column class, when, by"),
        ("digest,path,class,when,by\nabc,a.flac,jazz,,\n", "line 2: 'abc' is no SHA-256"),
        (f"digest,path,class,when,by\n{'a' * 64},,jazz,,\n", "line 2: path and class"),
        (f"digest,path,class,when,by\n{'a' * 64},x,polka,,\n", "line 2: 'polka' is no class"),
        (f"digest,path,class,when,by\n{'a' * 64},x\n", "line 2: path and class"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, text: str, reason: str) -> None:
    table = tmp_path / "corrections.csv"
    table.write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_corrections(table, ("jazz", "rock"))
