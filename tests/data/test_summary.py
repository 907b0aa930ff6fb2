"""data.summary: the class table and each thing that is odd about a folder."""

from pathlib import Path

import numpy as np

from data.examples import Examples
from data.splits import Split
from data.summary import ClassCount, class_table, count_classes, split_notes


def make_examples(
    n_groups: tuple[int, int] = (4, 4), *, groups: list[str] | None = None, n_augmented: int = 0
) -> Examples:
    """Two classes, `blues` and `drum and bass`, of so many groups of 2 clips each."""
    labels = np.repeat([0, 1], [2 * n for n in n_groups])
    n = len(labels)
    if groups is None:
        groups = [f"g{i // 2}" for i in range(n)]
    paths = np.array([f"{i:03}.png" for i in range(n)])
    augmented = np.arange(n) < n_augmented
    names = np.array(groups)
    return Examples(Path("x"), ("blues", "drum and bass"), paths, labels, names, names, augmented)


def notes_on(examples: Examples, part: np.ndarray | None = None, *, n_folds: int) -> list[str]:
    """The notes on examples of which every second one is tested, if not told otherwise."""
    if part is None:
        part = np.where(np.arange(len(examples)) % 2, "test", "1")
    return split_notes(
        examples, Split((part,), [], np.flatnonzero(part == "test")), n_folds=n_folds
    )


def test_rows_count_pictures_groups_and_test_pictures() -> None:
    examples = make_examples((4, 3))
    part = np.full(14, "1", dtype="U4")
    part[[0, 1, 8]] = "test"
    assert count_classes(examples, part == "test") == [
        ("blues", 8, 4, 2),
        ("drum and bass", 6, 3, 1),
        ("all", 14, 7, 3),
    ]


def test_a_group_in_two_classes_counts_once_in_all() -> None:
    examples = make_examples((1, 1), groups=["same"] * 4)
    assert count_classes(examples, np.zeros(4, dtype=bool))[-1] == ("all", 4, 1, 0)


def test_table_is_aligned() -> None:
    counts = [ClassCount("blues", 8, 4, 2), ClassCount("drum and bass", 1234567890, 3, 1)]
    assert class_table(counts) == (
        "  class            pictures  groups  test\n"
        "  blues                   8       4     2\n"
        "  drum and bass  1234567890       3     1"
    )


def test_nothing_odd_is_nothing_said() -> None:
    assert notes_on(make_examples((4, 4)), n_folds=2) == []


def test_a_class_under_two_groups_per_fold_is_named() -> None:
    [note] = notes_on(make_examples((4, 3)), n_folds=2)
    assert "drum and bass has 3 groups, under 2 x 2 folds" in note


def test_groups_in_several_classes_are_named() -> None:
    """The same song under two labels: one of them is wrong."""
    groups = [f"g{i // 2}" for i in range(16)]
    assert make_examples((4, 4), groups=groups).groups_in_several_classes() == []
    groups[8:] = groups[:8]
    examples = make_examples((4, 4), groups=groups)
    assert examples.groups_in_several_classes() == ["g0", "g1", "g2", "g3"]


def test_augmented_clips_are_counted() -> None:
    [note] = notes_on(make_examples((4, 4), n_augmented=3), n_folds=2)
    assert note == "3 augmented clips are for training only"


def test_a_class_that_the_test_part_lacks_is_named() -> None:
    examples = make_examples((4, 4))
    part = np.where(examples.labels == 0, "test", "1")
    [note] = notes_on(examples, part, n_folds=2)
    assert note.startswith(f"class {examples.classes[1]} has no test pictures")


def test_a_recording_that_has_most_of_a_class_is_named() -> None:
    """A mix of 20 min among songs: 120 of 136 pictures."""
    groups = [f"g{i // 2}" for i in range(8)] + ["mix"] * 6 + ["a", "b"]
    [note] = notes_on(make_examples((4, 4), groups=groups), n_folds=1)
    assert note.startswith("6 of the 8 examples of class drum and bass are of one group, mix: it")


def test_a_thousand_classes_have_one_sentence_of_each_kind() -> None:
    labels = np.repeat(np.arange(1000), 4)
    names = np.array([f"g{i}" for i in range(4000)])
    classes = tuple(f"class {{{i}}}" for i in range(1000))
    nobody = np.zeros(4000, dtype=bool)
    examples = Examples(Path("x"), classes, names, labels, names, names, nobody)
    few, untested = notes_on(examples, np.full(4000, "1"), n_folds=5)
    assert few == (
        "1000 classes have fewer groups than 2 x 5 folds (class {0}, class {1}, class {2}, "
        "class {3} and 996 more): their figures are uncertain"
    )
    assert untested.startswith("1000 classes have no test pictures (class {0}, ")
