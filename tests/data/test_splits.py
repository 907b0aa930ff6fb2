"""data.splits: no group on two sides, whatever the layout; and what goes wrong without that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from data.splits import Split, assign_folds, assign_parts

pytestmark = pytest.mark.slow  # whole commands, or as long as these

N_FOLDS = 3
CLASSES = ("a", "b", "c", "d")


@st.composite
def layouts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """(labels, groups) of 2 to 4 classes with 4 to 9 groups of 1 to 6 examples each.

    Some groups reach into the next class, and the examples come in any order.
    """
    labels: list[int] = []
    groups: list[str] = []
    n_classes = draw(st.integers(2, 4))
    for label in range(n_classes):
        for number, n_clips in enumerate(draw(st.lists(st.integers(1, 6), min_size=4, max_size=9))):
            labels += [label] * n_clips
            groups += [f"{label}/{number}"] * n_clips
            if draw(st.integers(0, 9)) == 0:
                labels.append((label + 1) % n_classes)
                groups.append(f"{label}/{number}")
    order = draw(st.permutations(range(len(labels))))
    return np.array(labels)[order], np.array(groups)[order]


def split(
    labels: np.ndarray, groups: np.ndarray, *, seed: int = 0, test_fraction: float = 0.25
) -> np.ndarray:
    return assign_parts(
        labels, groups, classes=CLASSES, n_folds=N_FOLDS, test_fraction=test_fraction, seed=seed
    )


def even_layout(*, n_classes: int, n_groups: int, n_clips: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(n_classes), n_groups * n_clips)
    return labels, np.repeat(np.arange(n_classes * n_groups), n_clips).astype(str)


@given(layouts(), st.integers(0, 2**32 - 1))
def test_the_four_invariants(layout: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    """Groups apart, every example held out once, positions apart, no part empty."""
    labels, groups = layout
    part = split(labels, groups, seed=seed)
    nothing = np.zeros(len(labels), dtype=bool)
    found = Split.of([part], nothing)
    test, folds = found.test, found.folds
    assert len(folds) == N_FOLDS
    for train, validation in folds:
        sides = [set(groups[side]) for side in (train, validation, test)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert sorted([*train, *validation, *test]) == list(range(len(labels)))
        assert min(len(train), len(validation), len(test)) > 0
    held_out = np.concatenate([test, *(validation for _, validation in folds)])
    assert sorted(held_out) == list(range(len(labels)))


@given(layouts(), st.integers(0, 999), st.randoms(use_true_random=False))
def test_same_seed_same_split_whatever_the_listing_order(
    layout: tuple[np.ndarray, np.ndarray], seed: int, random: object
) -> None:
    labels, groups = layout
    part = split(labels, groups, seed=seed)
    assert np.array_equal(part, split(labels, groups, seed=seed))
    order = np.random.default_rng(random.randrange(2**32)).permutation(len(labels))  # type: ignore[attr-defined]
    assert np.array_equal(part[order], split(labels[order], groups[order], seed=seed))


def test_the_global_random_state_is_neither_used_nor_changed() -> None:
    labels, groups = even_layout(n_classes=3, n_groups=10, n_clips=2)
    np.random.seed(1)  # noqa: NPY002 (the state that others may depend on)
    first = split(labels, groups)
    untouched = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert np.random.random() == untouched  # noqa: NPY002
    assert np.array_equal(first, split(labels, groups))


def test_another_seed_gives_another_split() -> None:
    labels, groups = even_layout(n_classes=3, n_groups=10, n_clips=2)
    splits = {tuple(split(labels, groups, seed=seed)) for seed in range(5)}
    assert len(splits) == 5


@pytest.mark.parametrize("asked", [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5])
def test_test_fraction_is_near_what_was_asked(asked: float) -> None:
    labels, groups = even_layout(n_classes=4, n_groups=40, n_clips=2)
    for seed in range(3):
        test = split(labels, groups, seed=seed, test_fraction=asked) == "test"
        assert test.mean() == pytest.approx(asked, abs=0.03)
        per_class = [test[labels == label].mean() for label in range(4)]
        assert per_class == pytest.approx([asked] * 4, abs=0.06), "and in each class"


def test_every_fold_holds_every_class() -> None:
    labels, groups = even_layout(n_classes=4, n_groups=12, n_clips=3)
    part = split(labels, groups)
    assert {(p, label) for p, label in zip(part, labels, strict=True)} == {
        (p, label) for p in ("test", "1", "2", "3") for label in range(4)
    }


def test_ten_folds_and_more_have_whole_names() -> None:
    """A fold named "1" because "10" was cut off would silently be two folds in one."""
    labels, groups = even_layout(n_classes=2, n_groups=30, n_clips=1)
    part = assign_parts(labels, groups, classes=CLASSES, n_folds=12, test_fraction=0.2, seed=0)
    assert set(part) == {"test", *map(str, range(1, 13))}
    assert len(Split.of([part], np.zeros(60, dtype=bool)).folds) == 12


def test_a_class_of_one_picture_is_named() -> None:
    labels, groups = even_layout(n_classes=2, n_groups=10, n_clips=4)
    with pytest.raises(ValueError, match=r"class c has 1 group"):
        split(np.append(labels, 2), np.append(groups, "few"))


def test_classes_without_three_groups_are_refused_together() -> None:
    labels, groups = even_layout(n_classes=3, n_groups=2, n_clips=4)
    with pytest.raises(ValueError, match="no class has 3 groups"):
        split(labels, groups)


@pytest.mark.parametrize("n_clips", [1, 5])
def test_too_many_folds_are_refused_with_the_flag_to_turn(n_clips: int) -> None:
    """One line that names our flags, not scikit-learn's `n_splits`."""
    labels, groups = even_layout(n_classes=2, n_groups=4, n_clips=n_clips)
    with pytest.raises(ValueError, match="--folds"):
        assign_parts(labels, groups, classes=CLASSES, n_folds=9, test_fraction=0.25, seed=0)


def noise_around_groups(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(X, labels, groups) of 90 groups of 6: a group is a random point with faint noise around it.

    Its class is drawn at random: nothing about a class can be learnt, only groups recognised.
    """
    centres = rng.normal(size=(90, 20))
    group_labels = rng.permutation(np.repeat(np.arange(3), 30))
    numbers = np.repeat(np.arange(90), 6)
    X = centres[numbers] + 0.05 * rng.normal(size=(len(numbers), 20))
    return X, group_labels[numbers], numbers.astype(str)


def test_a_leaky_split_scores_far_above_chance_and_ours_does_not() -> None:
    """After scikit-learn's test_kfold_can_detect_dependent_samples_on_digits, with known truth."""
    rng = np.random.default_rng(4)
    X, labels, groups = noise_around_groups(rng)

    def accuracy(part: np.ndarray) -> float:
        """Mean over held-out parts of a nearest-neighbour classifier's accuracy."""
        scores = []
        for name in np.unique(part):
            held_out = part == name
            model = KNeighborsClassifier(1).fit(X[~held_out], labels[~held_out])
            scores.append(model.score(X[held_out], labels[held_out]))
        return float(np.mean(scores))

    chance = 1 / 3
    leaky = rng.permutation(split(labels, groups))  # parts of the same sizes, clips at random
    assert accuracy(leaky) > 0.95
    assert accuracy(split(labels, groups)) < chance + 0.15


def test_augmented_clips_are_only_trained_on() -> None:
    part = np.array(["test", "test", "1", "1", "2", "2"])
    augmented = np.array([False, True] * 3)
    found = Split.of([part], augmented)
    assert list(found.test) == [0]
    (train1, validation1), (train2, validation2) = found.folds
    assert (list(train1), list(validation1)) == ([4, 5], [2])
    assert (list(train2), list(validation2)) == ([2, 3], [4])
    named = np.array(["test", "train", "train", "validation", "validation", "test"])
    [(train, validation)] = Split.of([named], augmented).folds
    assert (list(train), list(validation)) == ([1, 2], [4])


@pytest.mark.parametrize("seed", range(20))
def test_every_class_is_tested_even_with_three_groups_each(seed: int) -> None:
    """A fifth of three groups is less than one: the test part must not lose a class for it."""
    labels = np.repeat(np.arange(3), 3)
    part = assign_parts(
        labels, np.arange(9).astype(str), classes=("a", "b", "c"),
        n_folds=2, test_fraction=0.2, seed=seed,
    )  # fmt: skip
    assert sorted(labels[part == "test"]) == [0, 1, 2]


@given(layouts(), st.integers(0, 1000))
def test_repeats_keep_the_test_part_and_move_the_folds(
    layout: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    labels, groups = layout
    first = split(labels, groups, seed=seed)
    again = assign_folds(first, labels, groups, n_folds=N_FOLDS, seed=seed + 1000)
    assert np.array_equal(again == "test", first == "test")
    for group in np.unique(groups):
        assert len(set(again[groups == group])) == 1
    assert set(again) == set(first)


def test_other_seeds_make_other_folds() -> None:
    labels, groups = even_layout(n_classes=3, n_groups=10, n_clips=2)
    first = split(labels, groups)
    assert (assign_folds(first, labels, groups, n_folds=N_FOLDS, seed=1000) != first).any()


def test_leaving_one_group_out_makes_a_fold_of_each() -> None:
    labels, groups = even_layout(n_classes=2, n_groups=6, n_clips=3)
    part = assign_parts(labels, groups, classes=CLASSES, n_folds=0, test_fraction=0.25, seed=0)
    folds = Split.of([part], np.zeros(len(labels), dtype=bool)).folds
    assert (
        len(folds)
        == len(np.unique(groups[part != "test"]))
        == 12 - len(np.unique(groups[part == "test"]))
    )
    for train, validation in folds:
        [held_out] = np.unique(groups[validation])
        assert held_out not in groups[train]
        assert len(train) + len(validation) == (part != "test").sum()


@pytest.mark.parametrize(("n_groups", "parts"), [(1, {"train"}), (2, {"1", "2", "3"})])
def test_a_class_with_too_few_groups_is_trained_on_without_what_cannot_be_had(
    n_groups: int, parts: set[str]
) -> None:
    """Two groups are held out in turn and not tested; a single one is only ever trained on."""
    labels, groups = even_layout(n_classes=2, n_groups=10, n_clips=4)
    labels = np.append(labels, np.full(8, 2))
    groups = np.append(groups, [f"few{i % n_groups}" for i in range(8)])
    part = split(labels, groups)
    assert set(part[labels == 2]) <= parts
    assert len({(g, p) for g, p in zip(groups, part, strict=True)}) == len(np.unique(groups))
    found = Split.of([part], np.zeros(len(labels), dtype=bool))
    assert len(found.folds) == N_FOLDS
    for train, validation in found.folds:
        assert sorted([*train, *validation, *found.test]) == list(range(len(labels)))
        assert 2 in labels[train]
    again = assign_folds(part, labels, groups, n_folds=N_FOLDS, seed=1)
    assert n_groups > 1 or set(again[labels == 2]) == {"train"}


@given(layouts(), st.integers(0, 999))
def test_few_groups_leave_the_groups_of_others_apart(
    layout: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    """A class's only group may hold pictures of another class: they go with it."""
    labels, groups = layout
    labels, groups = np.append(labels, [4, 4]), np.append(groups, [groups[0]] * 2)
    part = assign_parts(
        labels, groups, classes=(*"abcde",), n_folds=2, test_fraction=0.25, seed=seed
    )
    assert set(part[groups == groups[0]]) == {"train"}
    for group in np.unique(groups):
        assert len(set(part[groups == group])) == 1


@pytest.mark.parametrize("seed", range(3))
def test_several_labels_are_spread_evenly_and_no_group_is_parted(seed: int) -> None:
    """By the counts of each label in each fold, and whatever the order of the examples."""
    rng = np.random.default_rng(seed)
    of_groups = rng.random((200, 4)) < [0.5, 0.3, 0.2, 0.1]
    of_groups[~of_groups.any(axis=1), 0] = True
    index = np.repeat(np.arange(200), 2)
    labels, groups = of_groups[index].astype(np.float32), index.astype(str)
    part = split(labels, groups, seed=seed, test_fraction=0.2)
    for group in np.unique(groups):
        assert len(set(part[groups == group])) == 1
    for label in range(4):
        total = labels[:, label].sum()
        assert labels[part == "test", label].sum() == pytest.approx(0.2 * total, abs=4)
        for fold in ("1", "2", "3"):
            assert labels[part == fold, label].sum() == pytest.approx(0.8 * total / 3, abs=4)
    order = rng.permutation(len(labels))
    again = split(labels[order], groups[order], seed=seed, test_fraction=0.2)
    assert (again == part[order]).all()
    assert (split(labels, groups, seed=seed + 9, test_fraction=0.2) != part).any()


def test_a_label_of_one_group_is_only_trained_on() -> None:
    labels = np.zeros((40, 3), np.float32)
    labels[:, 0], labels[::2, 1], labels[7, 2] = 1, 1, 1
    part = split(labels, np.arange(40).astype(str))
    assert part[7] == "train" and (part == "train").sum() == 1


def test_classes_of_fewer_pictures_than_folds_are_named() -> None:
    """30 classes of four pictures in five folds: "4 groups" was said of 120."""
    labels = np.repeat(np.arange(30), 4)
    with pytest.raises(ValueError, match=r"^3 pictures of the largest class cannot make 5 parts"):
        assign_parts(
            labels, np.arange(120).astype(str), classes=tuple(map(str, range(30))), n_folds=5,
            test_fraction=0.25, seed=0,
        )  # fmt: skip
