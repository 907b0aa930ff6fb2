"""Songs in, pictures out, before a training: what counts as a folder of songs."""

from pathlib import Path

import pytest

from render.songs import holds_songs


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("names", "songs"),
    [
        (("a/1.mp3", "b/2.FLAC"), True),
        (("a/1.mp3", "a/2.mp3", "a/cover.jpg"), True),
        (("a/1.png", "b/2.png"), False),
        (("a/1.png", "a/2.png", "b/stray.wav"), False),
        (("a/1.wav", "a/2.wav", "clips.csv"), False),
        (("a/.hidden.mp3", "a/notes.txt"), False),
    ],
)
def test_a_folder_of_songs_is_told_from_one_of_pictures(
    tmp_path: Path, names: tuple[str, ...], songs: bool
) -> None:
    assert holds_songs(write(tmp_path, *names)) == songs


def test_a_table_and_a_missing_folder_hold_no_songs(tmp_path: Path) -> None:
    assert not holds_songs(write(tmp_path, "features.csv") / "features.csv")
    assert not holds_songs(tmp_path / "nothing")
