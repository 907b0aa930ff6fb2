"""What frozen features tell of data with a known answer."""

import tracemalloc

import numpy as np

from train.evaluate.frozen_features import FrozenFeatures, leakage_levels, learning_curve
from train.loop.embeddings import Embeddings


def features(n_songs: int, own: float, clips: int = 3, seed: int = 0) -> FrozenFeatures:
    """Clips of songs of five classes; own: how much a song differs from others of its class."""
    rng = np.random.default_rng(seed)
    songs = np.repeat(np.arange(n_songs), clips)
    labels = songs % 5
    rows = 0.5 * rng.normal(size=(5, 200))[labels]
    rows += own * rng.normal(size=(n_songs, 200))[songs] + rng.normal(size=(len(songs), 200))
    return FrozenFeatures.of(rows, labels, songs, songs)


def test_the_curve_rises_and_says_what_more_songs_are_worth() -> None:
    curve = learning_curve(features(100, own=1.5))
    assert curve is not None
    assert curve.n_groups == [20, 40, 60, 80]
    assert curve.accuracy[-1] > curve.accuracy[0]
    gain, low, high = curve.doubling
    assert 0 < low < gain < high
    # the trend is a line over doublings: what it adds from 20 to 80 groups is two of them
    assert abs(curve.accuracy[-1] - curve.accuracy[0] - 2 * gain) < 0.05
    assert curve.worth(80)[0] == gain


def test_few_groups_have_no_curve() -> None:
    assert learning_curve(features(20, own=1.0)) is None


def test_many_classes_of_few_pictures_have_a_curve() -> None:
    """30 classes of four pictures ended with scikit-learn's error, after all the training."""
    known = features(120, own=1.0, clips=1)
    many = FrozenFeatures(known.similarity, known.groups % 30, known.groups, known.recordings)
    curve = learning_curve(many)
    assert curve is not None and curve.n_groups[-1] == 96


def test_a_split_by_picture_flatters_as_much_as_songs_differ() -> None:
    by_picture, by_recording = leakage_levels(features(60, own=2.0))
    assert (by_picture.unit, by_recording.unit) == ("picture", "recording")
    assert (by_picture.n_units, by_recording.n_units) == (180, 60)
    assert by_picture.accuracy - by_recording.accuracy > 0.1
    alike, apart = leakage_levels(features(60, own=0.0))
    assert abs(alike.accuracy - apart.accuracy) < 0.1


def test_groups_larger_than_recordings_are_a_level_of_their_own() -> None:
    known = features(60, own=1.0)
    artists = FrozenFeatures(
        known.similarity, known.labels, known.recordings // 10, known.recordings
    )
    assert [level.unit for level in leakage_levels(artists)] == ["picture", "recording", "group"]


def test_pictures_that_stand_alone_leak_nothing() -> None:
    assert leakage_levels(features(60, own=1.0, clips=1)) == []


def test_of_many_embeddings_a_thousand_are_read(tmp_path) -> None:
    """In memory there are these alone: 500,000 rows as float16 would be 61 MiB."""
    values = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float16, (500_000, 64))
    values[::2] = 1
    numbers = np.arange(500_000)
    every_second = Embeddings(values, numbers).only(numbers[::2])
    tracemalloc.start()
    found = FrozenFeatures.of(every_second, numbers[::2] % 2, numbers[::2], numbers[::2])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * 2**20
    assert found.similarity.shape == (1000, 1000) and np.abs(found.similarity).max() < 1e-3
