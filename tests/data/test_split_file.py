"""data.split_file: a split written as a file and accepted back, and files that are refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.examples import Examples
from data.image_folder import scan
from data.split_file import read_split, write_split
from data.splits import Split
from tests.data.test_splits import CLASSES, layouts, split


def write_rows(file: Path, rows: list[tuple[str, str]], *, header: str = "path,split") -> Path:
    file.write_text("\n".join([header, *(f"{p},{s}" for p, s in rows)]) + "\n", encoding="utf-8")
    return file


def by_recording(examples: Examples, parts: tuple[str, str, str]) -> list[tuple[str, str]]:
    """Rows that put recording 0, 1 and 2 of each class in the parts."""
    names = (path.split("__")[0] for path in examples.paths)
    return [(path, parts[int(n[-1])]) for path, n in zip(examples.paths, names, strict=True)]


@settings(max_examples=20)
@given(st.data())
def test_split_file_round_trip(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    labels, groups = data.draw(layouts())
    file = tmp_path_factory.mktemp("split") / "split.csv"
    paths = np.array([f"{CLASSES[label]}/{i}, é.png" for i, label in enumerate(labels)])
    examples = Examples(
        Path("x"), CLASSES, paths, labels, groups, groups, np.zeros(len(labels), dtype=bool)
    )
    part = split(labels, groups)
    write_split(file, examples, Split.of([part], examples.augmented))
    assert np.array_equal(read_split(file, examples).parts, [part])
    order = np.array(data.draw(st.permutations(range(len(labels)))))
    again = read_split(file, examples.take(order))
    assert np.array_equal(again.parts, [part[order]]), "by path, not row"


def test_split_file_has_readable_columns(image_folder: Path, tmp_path: Path) -> None:
    examples = scan(image_folder)
    made = Split.of([split(examples.labels, examples.groups)], examples.augmented)
    write_split(tmp_path / "split.csv", examples, made)
    header, first, *rest = (tmp_path / "split.csv").read_text().splitlines()
    assert header == "path,label,group,split"
    assert first.startswith("blues/blues0__0.png,blues,blues0,")
    assert len(rest) == 17


@pytest.mark.parametrize("validation", ["validation", "val", "valid", "dev", " Validation "])
def test_train_validation_test_is_one_fold(
    image_folder: Path, tmp_path: Path, validation: str
) -> None:
    examples = scan(image_folder)
    rows = by_recording(examples, ("train", validation, "test"))
    found = read_split(write_rows(tmp_path / "s.csv", rows), examples)
    [(train, held_out)] = found.folds
    recordings = [{g[-1] for g in examples.groups[side]} for side in (train, held_out)]
    assert recordings == [{"0"}, {"1"}]
    assert {g[-1] for g in examples.groups[found.test]} == {"2"}


def test_pictures_that_the_file_does_not_name_are_in_no_part(
    image_folder: Path, tmp_path: Path
) -> None:
    examples = scan(image_folder)
    rows = by_recording(examples, ("1", "2", "test"))
    kept = [row for row in rows if not row[0].startswith("rock/rock1")]
    found = read_split(write_rows(tmp_path / "s.csv", kept), examples)
    unnamed = np.flatnonzero(found.parts[0] == "")
    assert list(examples.paths[unnamed]) == ["rock/rock1__0.png", "rock/rock1__1.png"]
    used = [found.test, *(side for fold in found.folds for side in fold)]
    assert not set(unnamed) & set(np.concatenate(used))


def test_split_file_saved_by_a_spreadsheet_is_read(image_folder: Path, tmp_path: Path) -> None:
    """Spreadsheets put a byte order mark before the first heading."""
    examples = scan(image_folder)
    rows = by_recording(examples, ("1", "2", "test"))
    file = write_rows(tmp_path / "s.csv", rows, header="\ufeffpath,split")
    assert set(read_split(file, examples).parts[0]) == {"1", "2", "test"}


def test_unreadable_pictures_may_be_named(image_folder: Path, tmp_path: Path) -> None:
    """A split made before a picture was damaged still serves: that picture was left out."""
    examples = scan(image_folder)
    file = write_rows(tmp_path / "s.csv", by_recording(examples, ("1", "2", "test")))
    without_first = examples.take(np.arange(1, 18))
    with pytest.raises(ValueError, match="blues0__0"):
        read_split(file, without_first)
    found = read_split(file, without_first, unreadable={examples.paths[0]})
    assert (found.parts[0] != "").sum() == 17


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("1", "2", "3"), "has the parts 1, 2, 3; expected test"),
        (("1", "1", "test"), "at least two fold numbers"),
        (("train", "train", "test"), "expected test with train and validation"),
        (("validation", "validation", "test"), "expected test with train and validation"),
        (("train", "1", "test"), "expected test with train and validation"),
        (("1", "2", "holdout"), "line 6: 'holdout' is not test"),
        (("1", "-2", "test"), "line 4: '-2' is not test"),
        (("1", "²", "test"), "line 4: '²' is not test"),
    ],
)
def test_unusable_parts_are_refused(
    image_folder: Path, tmp_path: Path, parts: tuple[str, str, str], message: str
) -> None:
    examples = scan(image_folder)
    file = write_rows(tmp_path / "s.csv", by_recording(examples, parts))
    with pytest.raises(ValueError, match=message) as caught:
        read_split(file, examples)
    assert str(file) in str(caught.value)


def test_a_picture_that_is_not_there_is_named_with_its_line(
    image_folder: Path, tmp_path: Path
) -> None:
    examples = scan(image_folder)
    rows = by_recording(examples, ("1", "2", "test"))
    rows.insert(2, ("rock/gone.png", "1"))
    with pytest.raises(ValueError, match=r"line 4: rock/gone\.png is not in"):
        read_split(write_rows(tmp_path / "s.csv", rows), examples)


def test_a_group_on_two_sides_is_named(image_folder: Path, tmp_path: Path) -> None:
    examples = scan(image_folder)
    rows = by_recording(examples, ("1", "2", "test"))
    rows[-1] = (rows[-1][0], "1")
    with pytest.raises(ValueError, match="group rock2 in both test and 1"):
        read_split(write_rows(tmp_path / "s.csv", rows), examples)


def test_a_picture_in_two_parts_is_refused(image_folder: Path, tmp_path: Path) -> None:
    """The later row must not silently win: the file says two things."""
    examples = scan(image_folder)
    rows = by_recording(examples, ("1", "2", "test"))
    rows.append((rows[0][0], "2"))
    with pytest.raises(ValueError, match=r"line 20: blues/blues0__0\.png"):
        read_split(write_rows(tmp_path / "s.csv", rows), examples)


def test_missing_columns_and_missing_file_are_named(image_folder: Path, tmp_path: Path) -> None:
    examples = scan(image_folder)
    file = write_rows(tmp_path / "s.csv", [("a", "b")], header="file,fold")
    with pytest.raises(ValueError, match=r"s\.csv needs the columns path and split.*'fold'"):
        read_split(file, examples)
    with pytest.raises(ValueError, match=r"no split file at .*gone\.csv"):
        read_split(tmp_path / "gone.csv", examples)


def test_repeats_round_trip_and_must_test_the_same(image_folder: Path, tmp_path: Path) -> None:
    examples = scan(image_folder)
    first = np.array([part for _, part in by_recording(examples, ("1", "2", "test"))])
    second = np.array([part for _, part in by_recording(examples, ("2", "1", "test"))])
    file = tmp_path / "split.csv"
    write_split(file, examples, Split.of([first, second], examples.augmented))
    assert [part.tolist() for part in read_split(file, examples).parts] == [
        first.tolist(), second.tolist(),
    ]  # fmt: skip
    third = np.array([part for _, part in by_recording(examples, ("1", "test", "2"))])
    write_split(file, examples, Split.of([first, third], examples.augmented))
    with pytest.raises(ValueError, match="tests other pictures in split_2"):
        read_split(file, examples)
    (tmp_path / "empty.csv").write_text("path,split\n")
    with pytest.raises(ValueError, match=r"empty\.csv has no rows"):
        read_split(tmp_path / "empty.csv", examples)


def test_pictures_that_every_fold_trains_on_keep_their_part(
    image_folder: Path, tmp_path: Path
) -> None:
    examples = scan(image_folder)
    rows = [
        (path, "train" if path.startswith("rock") else part)
        for path, part in by_recording(examples, ("1", "2", "test"))
    ]
    found = read_split(write_rows(tmp_path / "s.csv", rows), examples)
    rock = np.flatnonzero(np.char.startswith(examples.paths, "rock"))
    assert len(found.folds) == 2
    for train, validation in found.folds:
        assert set(rock) <= set(train)
        assert not set(rock) & {*validation, *found.test}
