"""common.recordings: which clips are one recording, and their mean."""

import numpy as np
import pytest

from common.recordings import by_recording, recording_of


@pytest.mark.parametrize(
    ("path", "recording"),
    [
        ("rock/song__003.png", "rock/song"),
        ("rock/song.png", "rock/song"),
        ("my__class/song__003.png", "my__class/song"),
        ("my__class/song.png", "my__class/song"),
        ("a__b/c__d/two__parts__003.png", "a__b/c__d/two__parts"),
        ("rock/song__003__pitch+2.png", "rock/song"),
        ("rock/two__parts__003__stretch0.9.png", "rock/two__parts"),
        ("rock/song__left.png", "rock/song"),
        ("rock/mr. x__1.jpg", "rock/mr. x"),
        ("song__1.png", "song"),
        ("song", "song"),
        ("rock/__1.png", "rock/__1"),
    ],
)
def test_a_recording_is_the_name_without_its_clip(path: str, recording: str) -> None:
    assert recording_of(path) == recording


def test_clips_are_averaged_to_recordings() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    mean, labels, groups = by_recording(
        probabilities, np.array([0, 1, 0]), np.array(["x", "y", "x"]), np.array(["g", "h", "g"])
    )
    assert mean.tolist() == [[0.65, 0.35], [0.2, 0.8]]
    assert labels.tolist() == [0, 1]
    assert groups.tolist() == ["g", "h"]
