"""Groups and parts that the names and folders of strangers' files tell, without any table."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.examples import Examples
from data.image_folder import scan
from data.splits import make_split, own_split
from tests.data.test_image_folder import write_clips


def scanned(root: Path, *paths: str, group: str = "group") -> Examples:
    """The examples of a folder that has files of these paths; nothing opens them."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return scan(root, group, torch=False)


COUNTED = ("{:02}.png", "{}.jpg", "img_{:03}.png", "frame{:04}.png", "spectrogram ({}).png",
           "track{:02}.wav.png", "{:05}__000.png")  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_names_that_only_count_are_songs_of_their_class(tmp_path: Path, name: str) -> None:
    """`rock/07` and `jazz/07` are two songs: taken for one, 45 of them were 15 groups."""
    n_of = {"rock": 15, "jazz": 15, "folk": 4}
    paths = [f"{kind}/{name.format(i)}" for kind, n in n_of.items() for i in range(n)]
    examples = scanned(tmp_path, *paths)
    assert len(set(examples.groups)) == 34 and not examples.groups_in_several_classes()
    assert set(examples.groups) == set(examples.recordings)
    [note] = examples.notes
    assert "only count" in note and "clips.csv" in note and examples.groups[0] in note
    assert not scanned(tmp_path, group="none").notes


def test_the_first_of_counted_copies_has_no_number(tmp_path: Path) -> None:
    """Windows calls them spectrogram.png, spectrogram (2).png, ..."""
    names = ["spectrogram.png", "spectrogram (2).png", "spectrogram (3).png"]
    examples = scanned(tmp_path, *(f"{kind}/{name}" for kind in "ab" for name in names))
    assert len(set(examples.groups)) == 6


def test_clips_of_a_counted_song_stay_together(tmp_path: Path) -> None:
    names = [f"{i:02}__{clip:03}.png" for i in range(4) for clip in range(3)]
    examples = scanned(tmp_path, *(f"{kind}/{name}" for kind in "ab" for name in names))
    assert sorted(set(examples.groups)) == [f"{kind}/{i:02}" for kind in "ab" for i in range(4)]


@pytest.mark.parametrize(
    "names",
    [
        ["song_a.png", "song_b.png", "song_c.png"],
        ["01 Intro.png", "02 Verse.png", "03 Coda.png"],
        ["Abba - SOS.png", "Can - Halleluwah.png", "1999.png"],
        ["C4.png", "D4.png", "E4.png"],
    ],
)
def test_a_descriptive_name_in_two_classes_is_one_song(tmp_path: Path, names: list[str]) -> None:
    """Stems: vocals/song_a.png and drums/song_a.png share what a network could remember."""
    examples = scanned(tmp_path, *(f"{kind}/{name}" for kind in ("drums", "voc") for name in names))
    assert set(examples.groups) == {name.removesuffix(".png") for name in names}
    assert not examples.notes


def test_numbers_of_a_collection_are_songs(tmp_path: Path) -> None:
    """FMA's numbers are of the whole collection: one in two classes is one song of two genres."""
    paths = [f"{kind}/{start + i:06}.png" for start, kind in ((0, "a"), (500, "b"))
             for i in range(20)]  # fmt: skip
    examples = scanned(tmp_path, *paths, "b/000007.png")
    assert examples.groups_in_several_classes() == ["000007"] and not examples.notes


@pytest.mark.parametrize("name", ["slice_{:03}.png", "{}.png", "part.png"])
def test_a_folder_for_each_song_is_its_group(tmp_path: Path, name: str) -> None:
    """As groups of all classes, slice_003 of every song was on one side, its song on both."""
    songs = {
        f"{kind}/{song}" for kind in ("jazz", "rock") for song in ("Blue", "Red", "Sun", "Zoo")
    }
    examples = scanned(tmp_path, *(f"{song}/{name.format(i)}" for song in songs for i in range(3)))
    assert set(examples.groups) == songs
    assert ["each folder is taken for one song" in note for note in examples.notes] == [True]


def test_numbered_folders_are_songs_too(tmp_path: Path) -> None:
    songs = {f"{kind}/{i}" for kind in ("jazz", "rock") for i in range(5)}
    assert (
        set(scanned(tmp_path, *(f"{song}/{i}.png" for song in songs for i in range(3))).groups)
        == songs
    )


@pytest.mark.parametrize("names", [["song_a", "song_b", "song_c", "song_d"], ["1", "2", "3", "4"]])
def test_folders_of_variants_are_no_songs(tmp_path: Path, names: list[str]) -> None:
    """rock/original/1 and rock/noisy/1 are one song, as a train and a test folder hold no song."""
    variants = ("original", "noisy", "slow")
    examples = scanned(
        tmp_path, *(f"{kind}/{folder}/{name}.png"
                    for kind in ("jazz", "rock") for folder in variants for name in names)
    )  # fmt: skip
    assert {str(group).rpartition("/")[2] for group in examples.groups} == set(names)
    assert len(set(examples.groups)) == len(names) * (1 if names[0] == "song_a" else 2)


SLICED = ("{kind}.{song:05}.{part}.png", "song{song}_seg{part}.png", "{song:03}-{part}.png",
          "{kind} {word} ({part}).png")  # fmt: skip
WORDS = ("Blue", "Red", "Sun", "Moon", "Tree", "Snow")


@pytest.mark.parametrize("name", SLICED)
def test_numbered_slices_of_a_song_are_one_group(tmp_path: Path, name: str) -> None:
    """GTZAN in slices of 3 s is blues.00000.0 to .9: each a group, every song was on both sides."""
    parts = {
        f"{kind}/{name.format(kind=kind, song=i, word=word, part=part)}": f"{kind}{word}"
        for kind in ("jazz", "rock") for i, word in enumerate(WORDS) for part in range(4)
    }  # fmt: skip
    examples = scanned(tmp_path, *parts)
    songs = [parts[path] for path in examples.paths]
    assert len(set(examples.groups)) == len(set(zip(examples.groups, songs, strict=True))) == 12
    [note] = examples.notes
    assert "slices of one song" in note


@pytest.mark.parametrize(
    "names",
    [
        [f"cd{cd}_track{i:02}" for cd in (1, 2, 3) for i in range(12)],  # few songs of many slices?
        [f"{note}{octave}" for note in "CDEFGAB" for octave in range(3)],
        [f"Symphony No {i}" for i in range(9)] + [f"Opus {i}" for i in range(9)],
        [f"{i:x}{i * i % 97}" for i in range(60, 90)],
    ],
)
def test_other_numbers_at_the_end_are_no_slices(tmp_path: Path, names: list[str]) -> None:
    examples = scanned(tmp_path, *(f"a/{name}.png" for name in names), "b/x.png", "b/y.png")
    assert len(set(examples.groups)) == len(names) + 2 and not examples.notes


def test_groups_of_the_table_go_before_names_that_count(tmp_path: Path) -> None:
    """Whoever has the same song in all classes under a number says so in the table."""
    paths = [f"{kind}/{i}.png" for kind in "ab" for i in range(9)]
    for path in paths:
        (tmp_path / path).parent.mkdir(exist_ok=True)
    write_clips(tmp_path, [f"{path},song {path[2]}," for path in paths])
    examples = scanned(tmp_path, *paths)
    assert set(examples.groups) == {f"song {i}" for i in range(9)} and not examples.notes


songs = st.lists(st.sampled_from("abcdefghijkl"), min_size=6, unique=True).map(
    lambda letters: [f"{letter} song" for letter in letters]
)
numbers = st.integers(6, 12).map(lambda n: [f"{i:02}" for i in range(n)])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(songs, numbers), min_size=2, max_size=3), st.integers(1, 2))
def test_no_group_is_on_two_sides_however_pictures_are_named(
    classes: list[list[str]], n_clips: int
) -> None:
    """A song under one descriptive name is on one side, whatever its class."""
    paths = [
        f"class {kind}/{name}__{clip}.png"
        for kind, names in enumerate(classes)
        for name in names
        for clip in range(n_clips)
    ]
    with TemporaryDirectory() as folder:
        examples = scanned(Path(folder), *paths)
    split = make_split(examples, n_folds=2, test_fraction=0.25, seed=0)
    for train, held_out in split.folds:
        sides = [set(examples.groups[side]) for side in (train, held_out, split.test)]
        assert all(not one & other for one in sides for other in sides if one is not other)
    of_recording = dict(zip(examples.recordings, examples.groups, strict=True))
    assert [of_recording[name] for name in examples.recordings] == examples.groups.tolist()
    for name, group in of_recording.items():
        assert group == (name if name[-1].isdecimal() and examples.notes else name.split("/")[1])


def parted(root: Path, *, test: str, folders: tuple[str, ...] = ("train", "val", "test")) -> None:
    """Files of songs a to l: four of each class in train, and two more in each other part."""
    letters = {"train": "abcd", "val": "ef", "test": test}
    for folder in folders:
        for kind in ("jazz", "rock"):
            (root / folder / kind).mkdir(parents=True)
            for letter in letters.get(folder.lower(), "gh"):
                (root / folder / kind / f"{kind} {letter}.png").touch()


@pytest.mark.parametrize("torch", [True, False])
def test_folders_of_a_split_are_its_parts(tmp_path: Path, torch: bool) -> None:
    """Kaggle's layout: train, val and test were three classes, and told apart by chance."""
    parted(tmp_path, test="gh")
    examples = scan(tmp_path, torch=torch)
    assert examples.classes == ("jazz", "rock")
    assert all(
        examples.classes[i] in path for i, path in zip(examples.labels, examples.paths, strict=True)
    )
    assert examples.notes == (
        "the parts of the split are those of the folders test, train and val",
    )
    split = own_split(examples, n_folds=3, seed=0)
    assert split.n_folds == 1 and len(split.test) == len(split.folds[0][1]) == 4
    assert all(examples.paths[i].startswith("test/") for i in split.test)
    assert all(examples.paths[i].startswith("train/") for i in split.folds[0][0])


def test_without_a_validation_folder_the_training_part_is_cross_validated(tmp_path: Path) -> None:
    parted(tmp_path, test="gh", folders=("Train", "Testing"))
    split = own_split(scan(tmp_path, torch=False), n_folds=2, seed=0)
    assert split.n_folds == 2 and len(split.test) == 4


def test_a_split_by_folders_that_parts_a_song_is_made_anew(tmp_path: Path) -> None:
    parted(tmp_path, test="ag")
    examples = scan(tmp_path, torch=False)
    assert examples.parts is None and len(set(examples.groups)) == 14
    assert "2 groups (jazz a) are in several of its parts, which is a leak" in examples.notes[0]
    kept = scan(tmp_path, "none", torch=False).parts
    assert kept is not None and sorted(set(kept)) == ["test", "train", "validation"]


def test_numbers_begin_anew_in_each_part(tmp_path: Path) -> None:
    for folder, n in (("train", 6), ("test", 3)):
        for kind in ("jazz", "rock"):
            (tmp_path / folder / kind).mkdir(parents=True)
            for i in range(n):
                (tmp_path / folder / kind / f"{i:02}.png").touch()
    examples = scan(tmp_path, torch=False)
    assert examples.parts is not None and len(set(examples.groups)) == 18


def test_a_test_folder_without_classes_takes_no_part(tmp_path: Path) -> None:
    parted(tmp_path, test="", folders=("train",))
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "0001.png").touch()
    examples = scan(tmp_path, torch=False)
    assert len(examples) == 8 and examples.parts is None
    assert examples.notes[-1] == f"{tmp_path}/test has no class folders: it takes no part"


def test_slices_of_a_song_in_two_parts_are_a_leak(tmp_path: Path) -> None:
    """Slices that are dealt out to train and test, as scripts do: of each song most are known."""
    paths = [f"{'test' if part == 3 else 'train'}/{kind}/{kind}.{song:05}.{part}.png"
             for kind in ("jazz", "rock") for song in range(5) for part in range(4)]  # fmt: skip
    examples = scanned(tmp_path, *paths)
    assert examples.parts is None and len(set(examples.groups)) == 10
    assert any("10 groups (jazz.00000) are in several" in note for note in examples.notes)


def test_sounds_of_trains_are_a_class(tmp_path: Path) -> None:
    examples = scanned(
        tmp_path, *(f"{kind}/{kind}_{x}.png" for kind in ("train", "car") for x in "ab")
    )
    assert examples.classes == ("car", "train")


def test_the_table_may_bring_a_split(image_folder: Path) -> None:
    """As render writes it, of a collection that has one."""
    paths = sorted(p.relative_to(image_folder).as_posix() for p in image_folder.rglob("*.png"))
    part = ("train", "valid", "test")
    rows = [f"{path},{part[int(path[-8])]}" for path in paths]
    write_clips(image_folder, rows, header="path,split")
    parts = scan(image_folder).parts
    assert parts is not None and parts.tolist() == [
        row.split(",")[1].replace("valid", "validation") for row in rows
    ]
    write_clips(image_folder, rows[:-1], header="path,split")
    assert scan(image_folder).parts is None
