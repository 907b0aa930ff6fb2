"""data.corrections: what is said of files, kept in a table that several may add to at once."""

import csv
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from common.files import digest_of
from data.config import DataConfig
from data.corrections import (
    COLUMNS,
    Correction,
    add_correction,
    beside,
    correction_of,
    file_of,
    read_corrections,
    with_corrected,
)
from data.examples import Examples
from data.prepare import split_of
from data.splits import with_trained
from data.summary import split_notes


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


def test_a_table_that_others_wrote_is_gone_on_with_or_refused(tmp_path: Path) -> None:
    """A row under other columns, or behind an unfinished line, could never be read again."""
    (tmp_path / "a.mp3").write_bytes(b"a")
    said, table = correction_of(tmp_path / "a.mp3", "jazz", "me"), tmp_path / "corrections.csv"
    table.write_text(f"by,note,class,path,when,digest\nyou,,rock,b.mp3,now,{'0' * 64}")
    add_correction(table, said)
    assert [one.label for one in read_corrections(table)] == ["rock", "jazz"]
    table.write_text("path,label\nb.mp3,rock\n")
    with pytest.raises(ValueError, match=r"corrections\.csv is no table of corrections: no column"):
        add_correction(table, said)
    assert table.read_text() == "path,label\nb.mp3,rock\n"


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    song = tmp_path / "a song.flac"
    song.write_bytes(b"music" * 500_000)
    found = correction_of(song, "jazz", "anna")
    assert found.digest == digest_of(song) == hashlib.sha256(song.read_bytes()).hexdigest()
    assert Path(found.path) == song.resolve()
    assert found.when.endswith("+00:00")


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


def examples_of(tmp_path: Path, n: int) -> Examples:
    """n pictures of each of two classes, each a group of its own."""
    names = np.array([f"{label}/{label}{i}.png" for label in ("jazz", "rock") for i in range(n)])
    labels = np.repeat([0, 1], n)
    nobody = np.zeros(2 * n, dtype=bool)
    return Examples(tmp_path, ("jazz", "rock"), names, labels, names, names, nobody)


def test_what_is_corrected_is_trained_on_and_never_tested(tmp_path: Path) -> None:
    """The split of the others stays as it was, and a corrected song joins its duplicate's part."""
    own = examples_of(tmp_path / "music", 15)
    corrections = [said(i, "jazz") for i in range(40)]
    pictures = {one.digest: [tmp_path / f"{one.digest}__{k}.png" for k in (0, 1)]
                for one in corrections}  # fmt: skip
    examples = with_corrected(own, corrections, pictures, {"x.mp3": "x.mp3: no such file"})
    assert len(examples) == 30 + 80
    assert examples.left_out == {"x.mp3": "x.mp3: no such file"}
    assert examples.files()[-1].resolve() == tmp_path / f"{corrections[-1].digest}__1.png"
    before = split_of(own, DataConfig(folds=3), seed=1)
    # Two corrected songs are a tested and a trained one of the folder under other names; a third
    # is like both.
    tested, trained = before.test[0], before.folds[0][1][0]
    pairs = [(tested, 30), (32, trained), (34, tested), (trained, 35)]
    split = with_trained(before, examples, pairs)
    assert split.test.tolist() == before.test.tolist()
    assert split.parts[0][:30].tolist() == before.parts[0].tolist()
    assert {30, 31, 34, 35}.isdisjoint(split.development)
    for k, (training, validation) in enumerate(split.folds):
        assert validation.tolist() == before.folds[k][1].tolist()
        assert set(range(36, 110)) <= set(training)
        assert (32 in training) == (33 in training) == (k > 0)
    notes = split_notes(examples, split, n_folds=3)
    assert (
        "38 corrected recordings are trained on, and never tested; 2 more not even trained on, "
        "since the test part has the same music" in notes
    )


def test_corrections_need_groups() -> None:
    for options in ({"group": "none"}, {"duplicates": "ignore"}):
        with pytest.raises(ValueError, match="would train on songs that are tested"):
            DataConfig(corrections="corrections.csv", **options)
