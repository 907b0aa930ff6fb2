"""data.folder: examples, groups and refusals of an image folder."""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.datasets import ImageFolder

from data.examples import Examples
from data.image_folder import scan
from data.splits import make_split
from tests.helpers import ROOT


def write_clips(root: Path, rows: list[str], *, header: str = "path,group,augmentation") -> None:
    (root / "clips.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def scanned(root: Path, *paths: str, group: str = "group") -> Examples:
    """The examples of a folder that has files of these paths; nothing opens them."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return scan(root, group, torch=False)


def test_torchvisions_folder_and_our_listing_find_the_same(image_folder: Path) -> None:
    known = ImageFolder(str(image_folder))
    for torch in (True, False):
        examples = scan(image_folder, torch=torch)
        assert examples.classes == tuple(known.classes)
        assert [str(file) for file in examples.files()] == [path for path, _ in known.samples]
        assert examples.labels.tolist() == known.targets


def test_classes_are_sorted_names_and_paths_are_sorted(image_folder: Path) -> None:
    """Class order must not depend on the order in which the file system lists folders."""
    shutil.copytree(image_folder / "rock", image_folder / "ambient")
    examples = scan(image_folder)
    assert examples.classes == ("ambient", "blues", "jazz", "rock")
    assert list(examples.paths) == sorted(examples.paths)
    assert len(examples) == 24
    named = [examples.classes[label] for label in examples.labels]
    assert named == [path.split("/")[0] for path in examples.paths]
    assert all(file.is_file() for file in examples.files())


def test_group_is_the_name_up_to_the_double_underscore(image_folder: Path) -> None:
    examples = scan(image_folder)
    assert set(examples.groups) == {f"{c}{n}" for c in ("blues", "jazz", "rock") for n in range(3)}
    assert list(examples.groups[examples.paths == "jazz/jazz1__0.png"]) == ["jazz1"]


def test_group_is_the_stem_without_a_double_underscore(image_folder: Path) -> None:
    for file in sorted(image_folder.rglob("*.png")):
        file.rename(file.with_name(file.name.replace("__", "_") + f"{file.stem[-1] * 3}x.png"))
    examples = scan(image_folder)
    assert examples.groups[0] == "blues0_0.png000x"
    assert len(set(examples.groups)) == 18


def test_a_double_underscore_in_a_class_or_a_song_ends_no_name(image_folder: Path) -> None:
    """The clip's suffix is the last one of the file's name."""
    (image_folder / "jazz").rename(image_folder / "free__jazz")
    for file in sorted((image_folder / "free__jazz").iterdir()):
        file.rename(file.with_name(file.name.replace("jazz", "miles__jazz")))
    examples = scan(image_folder)
    mine = examples.labels == examples.classes.index("free__jazz")
    assert sorted(set(examples.groups[mine])) == [f"miles__jazz{n}" for n in range(3)]
    assert set(examples.recordings[mine]) == {f"free__jazz/miles__jazz{n}" for n in range(3)}


def test_group_of_the_clip_table_wins(image_folder: Path) -> None:
    """The table knows the artist; the file name knows only the recording."""
    write_clips(image_folder, ["blues/blues0__0.png,Muddy,", "blues/blues1__0.png,Muddy,"])
    groups = dict(zip(scan(image_folder).paths, scan(image_folder).groups, strict=True))
    assert groups["blues/blues0__0.png"] == groups["blues/blues1__0.png"] == "Muddy"
    assert groups["blues/blues2__0.png"] == "blues2", "a picture without a row keeps its name"


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


def test_augmented_flag_comes_from_the_clip_table(image_folder: Path) -> None:
    write_clips(image_folder, ["jazz/jazz0__0.png,jazz0,pitch+2", "jazz/jazz0__1.png,jazz0,"])
    examples = scan(image_folder)
    assert list(examples.paths[examples.augmented]) == ["jazz/jazz0__0.png"]


def test_clip_table_saved_by_a_spreadsheet_is_read(image_folder: Path) -> None:
    """Spreadsheets put a byte order mark before the first heading."""
    write_clips(image_folder, ["jazz/jazz0__0.png,Miles,"], header="\ufeffpath,group,augmentation")
    assert "Miles" in scan(image_folder).groups


def test_clip_table_without_paths_is_refused(image_folder: Path) -> None:
    write_clips(image_folder, ["a,b,c"], header="file,group,augmentation")
    with pytest.raises(ValueError, match=r"clips\.csv has no column `path`"):
        scan(image_folder)


def test_hidden_folders_and_pycache_are_no_classes(image_folder: Path) -> None:
    for name in (".thumbnails", "__pycache__"):
        shutil.copytree(image_folder / "rock", image_folder / name)
    assert scan(image_folder).classes == ("blues", "jazz", "rock")


@pytest.mark.parametrize("name", [".ipynb_checkpoints", ".thumbnails"])
def test_hidden_folders_inside_a_class_are_passed_over(image_folder: Path, name: str) -> None:
    """A notebook's hidden copies have other stems: as groups of their own they would leak."""
    shutil.copytree(image_folder / "rock", image_folder / "rock" / name)
    assert len(scan(image_folder)) == 18


def test_a_hidden_folder_above_the_root_does_not_matter(image_folder: Path) -> None:
    hidden = image_folder.rename(image_folder.parent / ".cache")
    assert len(scan(hidden)) == 18


def test_hidden_files_and_other_files_are_passed_over(image_folder: Path) -> None:
    picture = image_folder / "rock" / "rock0__0.png"
    shutil.copy(picture, picture.with_name("._rock0__0.png"))  # what macOS leaves on other disks
    picture.with_name("notes.txt").write_text("loud")
    assert len(scan(image_folder)) == 18


def test_nested_folders_and_every_extension_belong_to_the_class(image_folder: Path) -> None:
    nested = image_folder / "rock" / "album"
    nested.mkdir()
    for name in ("a.png", "b.jpg", "c.JPEG", "d.webp", "e.BMP"):
        shutil.copy(image_folder / "rock" / "rock0__0.png", nested / name)
    examples = scan(image_folder)
    assert int((examples.labels == 2).sum()) == 11


def test_linked_folders_are_followed_but_not_round_in_a_circle(image_folder: Path) -> None:
    elsewhere = image_folder.parent / "elsewhere"
    (image_folder / "rock").rename(elsewhere)
    (image_folder / "rock").symlink_to(elsewhere)
    (elsewhere / "more").mkdir()
    (elsewhere / "more" / "back").symlink_to(elsewhere)
    (image_folder / "jazz" / "linked").symlink_to(elsewhere / "more")
    (image_folder / "blues" / "up").symlink_to("..")
    shutil.copy(elsewhere / "rock0__0.png", elsewhere / "more" / "other__0.png")
    examples = scan(image_folder)
    assert sum(path.startswith("rock/") for path in examples.paths) == 7
    assert sum(path.startswith("blues/") for path in examples.paths) == 6


def test_a_class_without_pictures_is_no_class(image_folder: Path) -> None:
    (image_folder / "empty").mkdir()
    examples = scan(image_folder)
    assert examples.classes == ("blues", "jazz", "rock")
    assert set(examples.labels) == {0, 1, 2}


def test_take_keeps_the_columns_together(image_folder: Path) -> None:
    examples = scan(image_folder)
    for keep in (np.array([17, 0]), examples.labels == 1):
        taken = examples.take(keep)
        assert list(taken.paths) == list(examples.paths[keep])
        assert [taken.classes[i] for i in taken.labels] == [p.split("/")[0] for p in taken.paths]
        assert all(g in p for g, p in zip(taken.groups, taken.paths, strict=True))


def test_python_package_is_refused_and_spectrograms_named() -> None:
    """Our own data/ is the folder that people try first."""
    package = ROOT / "data"
    with pytest.raises(ValueError, match=r"Python package.*spectrograms/") as caught:
        scan(package)
    assert str(package) in str(caught.value)


def test_missing_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no image folder at .*nowhere"):
        scan(tmp_path / "nowhere")


def test_empty_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no class folders; expected") as caught:
        scan(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_class_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    for name in ("blues", "rock"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_bytes(b"")
    with pytest.raises(ValueError, match="has no pictures; expected"):
        scan(tmp_path)


def test_one_class_is_refused_by_name(image_folder: Path) -> None:
    for name in ("blues", "rock"):
        shutil.rmtree(image_folder / name)
    with pytest.raises(ValueError, match="one class, jazz"):
        scan(image_folder)


def test_a_folder_with_pipes_and_loops_is_scanned(image_folder: Path) -> None:
    n = len(scan(image_folder))
    os.mkfifo(image_folder / "blues" / "pipe.png")
    (image_folder / "blues" / "loop").symlink_to("loop")
    (image_folder / "loop").symlink_to("loop")
    (image_folder / "blues" / "self.png").symlink_to("self.png")
    (image_folder / "blues" / "up").symlink_to("..", target_is_directory=True)
    assert len(scan(image_folder)) == n + 2  # the reader names the pipe and the link


def test_names_that_are_not_utf_8_are_left_out_and_named(image_folder: Path) -> None:
    """No table and no page can hold such a name: it stopped a whole run after its training."""
    picture = next(image_folder.glob("blues/*.png"))
    shutil.copy(picture, os.fsencode(image_folder / "blues") + b"/caf\xe9.png")
    examples = scan(image_folder)
    assert len(examples) == 18
    [(path, reason)] = examples.left_out.items()
    assert os.fsencode(path) == b"blues/caf\xe9.png" and "not UTF-8" in reason
    assert reason.isprintable() and examples.take(np.arange(3)).left_out == examples.left_out
    image_folder.joinpath("blues").rename(os.fsdecode(os.fsencode(image_folder) + b"/caf\xe9"))
    with pytest.raises(ValueError, match=r"the name of a class .*caf.* is not UTF-8"):
        scan(image_folder)


def test_several_labels_of_a_picture_are_those_of_the_table(image_folder: Path) -> None:
    """The folders are folders; a picture that the table does not name is told, and left out."""
    paths = sorted(p.relative_to(image_folder).as_posix() for p in image_folder.rglob("*.png"))
    rows = [f"{path},{'loud; old' if i % 2 else 'old'},g{i // 2}" for i, path in enumerate(paths)]
    write_clips(image_folder, [*rows[:-2], f"{paths[-2]},,g8"], header="path,labels,group")
    examples = scan(image_folder)
    assert examples.several_labels and examples.classes == ("loud", "old")
    assert examples.paths.tolist() == paths[:-2]
    assert examples.labels.tolist() == [[i % 2, 1] for i in range(16)]
    assert examples.label_names()[:2] == ["old", "loud;old"]
    assert examples.of_class(0).sum() == 8 and examples.groups_in_several_classes() == []
    assert list(examples.left_out) == paths[-2:]
    assert all("clips.csv gives it no labels" in why for why in examples.left_out.values())
    write_clips(image_folder, [f"{path},old" for path in paths], header="path,labels")
    with pytest.raises(ValueError, match="expected two at least, as rock;jazz"):
        scan(image_folder)
