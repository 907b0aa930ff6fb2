"""The promise of a precision is kept, whatever the truth."""

from pathlib import Path

import numpy as np
import pytest

from inference.library.precision import HeldOut, Threshold, read_held_out, thresholds


def held_out(rng: np.random.Generator, n: int, *, songs_of_group: int = 1) -> HeldOut:
    """Answers of one class whose chance to be right is their probability squared."""
    n_groups = n // songs_of_group
    p = np.repeat(rng.uniform(0.5, 1, n_groups), songs_of_group)
    right = np.repeat(rng.random(n_groups) < p[::songs_of_group] ** 2, songs_of_group)
    probabilities = np.stack([p, 1 - p], axis=1)
    groups = np.repeat(np.arange(n_groups).astype(str), songs_of_group)
    return HeldOut(("a", "b"), probabilities, np.where(right, 0, 1), groups)


def true_precision(limit: Threshold) -> float:
    """Of answers above the threshold: the mean of p squared."""
    assert limit.probability is not None
    grid = np.linspace(limit.probability, 1, 1001)
    return float((grid**2).mean())


@pytest.mark.parametrize(("n", "songs_of_group"), [(2000, 1), (2000, 5)])
def test_the_promise_is_kept_in_95_of_100_draws(n: int, songs_of_group: int) -> None:
    """Also where the five songs of an album are right or wrong together."""
    rng = np.random.default_rng(0)
    made = broken = 0
    for _ in range(200):
        limit = thresholds(held_out(rng, n, songs_of_group=songs_of_group), 0.9)["a"]
        if limit.probability is not None:
            made += 1
            broken += true_precision(limit) < 0.9
    assert made > 100 if songs_of_group == 1 else made > 20
    assert broken <= 0.05 * 200 + 4  # two standard deviations of such a count


def test_songs_of_one_group_are_no_more_evidence_than_one() -> None:
    n = 100
    probabilities = np.stack([np.linspace(0.99, 0.6, n), np.linspace(0.01, 0.4, n)], axis=1)
    alone = HeldOut(("a", "b"), probabilities, np.zeros(n, int), np.arange(n).astype(str))
    album = HeldOut(("a", "b"), probabilities, np.zeros(n, int), np.repeat("one", n))
    assert thresholds(alone, 0.9)["a"].probability == pytest.approx(0.6)
    assert thresholds(album, 0.9)["a"].probability is None
    assert thresholds(alone, 0.9)["b"].n == 0  # nothing was answered so
    assert thresholds(alone, 0.9, together=True)["b"].probability == pytest.approx(0.6)


def test_clips_of_a_song_are_one_answer(tmp_path: Path) -> None:
    file = tmp_path / "predictions.csv"
    head = "path,label,group,split,predicted,a,b\n"
    file.write_text(head + "a/x__0.png,a,x,1,a,0.9,0.1\na/x__1.png,a,x,1,b,0.4,0.6\n")
    found = read_held_out(file, ("a", "b"))
    np.testing.assert_allclose(found.probabilities, [[0.65, 0.35]])
    assert list(found.labels) == [0]
    with pytest.raises(ValueError, match="has no column c: it is of another model"):
        read_held_out(file, ("a", "c"))
    file.write_text(head + "a/x__0.png,z,x,1,a,0.9,0.1\n")
    with pytest.raises(ValueError, match=r"predictions\.csv"):
        read_held_out(file, ("a", "b"))


def several(rng: np.random.Generator, n: int) -> HeldOut:
    """Songs that have each of two labels with that label's probability squared."""
    p = rng.random((n, 2))
    return HeldOut(("a", "b"), p, rng.random((n, 2)) < p**2, np.arange(n).astype(str))


@pytest.mark.parametrize("together", [False, True])
def test_each_of_several_labels_is_promised(together: bool) -> None:
    rng, made, broken = np.random.default_rng(1), 0, 0
    for _ in range(100):
        limits = thresholds(several(rng, 2000), 0.9, together=together)
        for limit in {id(one): one for one in limits.values()}.values():
            if limit.probability is not None:
                made += 1
                broken += true_precision(limit) < 0.9
    assert made > 70 and broken <= 0.05 * made + 2 * np.sqrt(0.05 * made)


def test_a_label_less_likely_than_not_is_never_promised(tmp_path: Path) -> None:
    file = tmp_path / "predictions.csv"
    rows = [f"x/{i}__0.png,a;b,{i},1,a,{0.9 - i / 1000},{0.4}" for i in range(100)]
    file.write_text("path,label,group,split,predicted,a,b\n" + "\n".join(rows) + "\n")
    found = read_held_out(file, ("a", "b"), several=True)
    assert found.true.all()
    limits = thresholds(found, 0.9)
    assert limits["a"].probability == pytest.approx(0.801)
    assert limits["b"].probability is None and limits["b"].n == 0
    with pytest.raises(ValueError, match="a;b are several labels, and the model gives one"):
        read_held_out(file, ("a", "b"))
    file.write_text(file.read_text().replace("a;b", "a;c"))
    with pytest.raises(ValueError, match="a;c is no class"):
        read_held_out(file, ("a", "b"), several=True)
