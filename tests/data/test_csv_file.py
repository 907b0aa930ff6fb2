"""A table in any encoding and shape is read as the same cells, or refused with what helps."""

import csv
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.country import countries_of
from data.tabular.csv_file import read_cells, read_rows
from data.tabular.table import read_table

FEATURES = ("Lautstärke", "tempo (bpm)")
PLACES = ("México", "Perú, Süd", "Japan")
ENCODINGS = ("cp1252", "utf-16", "utf-16-le", "utf-8", "utf-8-sig")
numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
rows = st.lists(st.tuples(numbers, numbers, st.sampled_from(PLACES)), min_size=2, max_size=9)


def written(
    table: list[tuple[float, float, str]], delimiter: str, *, comma: bool, header: bool, end: str
) -> str:
    """The table as text, its numbers with three decimals."""
    out = StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    if header:
        writer.writerow([*FEATURES, "label"])
    for *values, place in table:
        cells = [f"{value:.3f}" for value in values]
        writer.writerow([*(c.replace(".", ",") if comma else c for c in cells), place])
    return out.getvalue()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "t.csv"


@given(
    rows, st.sampled_from(ENCODINGS), st.sampled_from(",;\t|"), st.booleans(), st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
def test_the_same_cells_in_any_encoding_and_shape(
    file: Path, table: list[tuple[float, float, str]], encoding: str, delimiter: str,
    comma: bool, header: bool, end: str,
) -> None:  # fmt: skip
    comma = comma and delimiter != ","
    text = written(table, delimiter, comma=comma, header=header, end=end)
    file.write_bytes(text.encode(encoding))
    found = read_cells(file, header=header)
    names = [*FEATURES, "label"] if header else ["feature_1", "feature_2", "feature_3"]
    assert found.header == names and found.has_header == header
    for row, (*values, place) in zip(found.rows, table, strict=True):
        assert [float(row[name]) for name in names[:2]] == values
        assert row[names[2]] == place
    said = " ".join(found.notes)
    assert ("decimal commas" in said) == comma and ("without a header" in said) != header
    assert ("UTF-16" in said) == encoding.startswith("utf-16")
    _, numbers = read_rows(file, names[:2])
    np.testing.assert_allclose(numbers, [row[:2] for row in table], rtol=1e-6)


def test_columns_of_row_numbers_are_known_without_a_name(file: Path) -> None:
    """As pandas writes them (a header with an empty name), and R (a header one name short)."""
    for header in (",tempo,label", "tempo,label"):
        file.write_text(f"{header}\n1,100,a\n2,120,b\n3,90,a\n")
        table = read_table(file, "label", "group")
        assert table.columns == ("tempo",)
        assert any("numbers of rows" in note for note in table.notes)


def test_odd_shapes_are_read(file: Path) -> None:
    for text in ("sep=;\nx;y\n1;2\n3;5\n", "x,y,\n1,2,\n3,5,\n", "x y\n1   2\n3 5\n"):
        file.write_text(text)
        assert [row["y"] for row in read_cells(file).rows] == ["2", "5"]
    file.write_text("x;x\n1.234,5;2,5\n-7,25;1.000\n")
    cells = read_cells(file)
    assert cells.header == ["x", "x_2"]
    assert [list(row.values()) for row in cells.rows] == [["1234.5", "2.5"], ["-7.25", "1000"]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is no CSV"),
        (b"\xff\xfea\x00,", "cannot be read as CSV in UTF-16"),
        (b'a,b\n"1,2\n', "line 2 has 1 cells, not 2"),
    ],
)
def test_what_is_no_table_is_refused(file: Path, content: bytes, expected: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match=expected) as caught:
        read_cells(file)
    assert str(file) in str(caught.value)


def test_a_first_line_of_values_is_met_with_the_flag_that_helps(file: Path) -> None:
    """As UCI's iris.data: no header, and the class in the last column."""
    file.write_text("5.1,3.5,setosa\n7.0,3.2,versicolor\n4.9,3.0,setosa\n")
    with pytest.raises(ValueError, match="--no-header"):
        read_table(file, "label", "group")
    with pytest.raises(ValueError, match="--label feature_3 is the last column"):
        read_table(file, "label", "group", has_header=False)
    table = read_table(file, "feature_3", "group", has_header=False)
    assert table.examples.classes == ("setosa", "versicolor")
    assert table.columns == ("feature_1", "feature_2")
    names, values = read_rows(file, table.columns)  # prediction is told no option
    assert len(names) == 3 and values[0].tolist() == pytest.approx([5.1, 3.5])


def test_a_geocoders_default_point_is_no_country(file: Path) -> None:
    assert countries_of([(0.0, 0.0), (35.7, 139.7), (37.09024, -95.712891)]) == ["", "Japan", ""]
    lines = [f"{i * i}.5;{i};{place}" for i in range(4) for place in ("35,7;139,7", "-15,8;-47,9")]
    file.write_text("\n".join(line.replace(".", ",") for line in [*lines, "1,5;9;0,0;0,0"]))
    table = read_table(file, "country", "group")
    assert table.examples.classes == ("Brazil", "Japan") and len(table.examples) == 8


def test_rows_of_slices_of_a_song_are_one_group(tmp_path: Path) -> None:
    """GTZAN's features_3_sec.csv has ten rows of each song: alone, they were on all sides."""
    file = tmp_path / "features_3_sec.csv"
    rows = [f"{kind}.{song:05}.{part}.wav,{song + part / 10},{kind}"
            for kind in ("jazz", "rock") for song in range(6) for part in range(10)]  # fmt: skip
    file.write_text("\n".join(["filename,tempo,label", *rows]))
    table = read_table(file, "label", "group")
    assert sorted(set(table.examples.groups)) == [
        f"{kind}.{song:05}" for kind in ("jazz", "rock") for song in range(6)
    ]
    assert "slices of one song" in table.notes[-1] and "column group" in table.notes[-1]
    alone = read_table(file, "label", "none")
    assert len(set(alone.examples.groups)) == 120 and not alone.notes


def test_rows_of_one_file_are_one_group(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    rows = [f"{kind}{song}.mp3,{song + part / 10},{kind}"
            for kind in ("jazz", "rock") for song in range(4) for part in range(3)]  # fmt: skip
    file.write_text("\n".join(["file,tempo,label", *rows]))
    table = read_table(file, "label", "group")
    assert len(set(table.examples.groups)) == 8
    assert table.notes == ["rows with the same file are one group: 8 groups of 24 rows"]


def test_rows_of_songs_of_their_own_stand_alone(file: Path) -> None:
    file.write_text("id,tempo,label\n" + "\n".join(f"{i},{i * i},{'ab'[i % 2]}" for i in range(20)))
    table = read_table(file, "label", "group")
    assert table.examples.groups.tolist() == table.examples.paths.tolist()
