"""data.folder: examples, groups and refusals of an image folder."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import ImageFolder

from data.image_folder import scan
from tests.helpers import ROOT


def write_clips(root: Path, rows: list[str], *, header: str = "path,group,augmentation") -> None:
    (root / "clips.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


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


def test_pictures_of_other_types_are_counted(image_folder: Path) -> None:
    """A third of a folder was GIF and TIFF, and nobody was told."""
    for name in ("blues/a.gif", "blues/b.TIFF", "jazz/c.gif"):
        (image_folder / name).touch()
    examples = scan(image_folder)
    assert len(examples) == 18
    assert examples.notes == (
        "pictures of these types are not read: 2 .gif, 1 .tiff; save them as PNG",
    )
    for file in image_folder.rglob("*.png"):
        file.unlink()
    with pytest.raises(ValueError, match=r"has no pictures; .* not read: 2 \.gif, 1 \.tiff"):
        scan(image_folder)
