"""data.cache: the same pictures as without it, and never more, older or half of them."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.cache.disk import cache_folder, cached_pictures, used
from data.images.drawing import Drawing
from data.images.picture_array import PictureArray
from data.images.read import read_picture
from tests.helpers import ROOT

CANVAS = (24, 18)  # the pictures are 32x24
GIB = 2**30
# Decodes argv[1] into argv[2], slowly where argv[3] is a file that is waited for.
SCRIPT = """
import sys, time, pathlib, numpy as np
import data.images.picture_array as picture_array
from data.cache.disk import cached_pictures
root, folder, wait = map(pathlib.Path, sys.argv[1:4])
read = picture_array.read_picture
def slowly(path, canvas, drawing):
    while not wait.exists():
        time.sleep(0.01)
    return read(path, canvas, drawing)
picture_array.read_picture = slowly
paths = np.array(sorted(p.relative_to(root).as_posix() for p in root.rglob("*.png")))
found = cached_pictures(root, paths, (24, 18), folder=folder, limit_gib=1)
print(len(found.pixels), *found.notes)
"""


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded, as they are."""
    names: list[str] = []

    def noted(path: str, canvas: tuple[int, int], drawing: Drawing) -> np.ndarray:
        names.append(Path(path).name)
        return read_picture(path, canvas, drawing)

    monkeypatch.setattr("data.images.picture_array.read_picture", noted)
    return names


def paths_in(root: Path) -> np.ndarray:
    return np.array(sorted(file.relative_to(root).as_posix() for file in root.rglob("*.png")))


def decoded(root: Path, *, gib: float = 1.0, canvas: tuple[int, int] = CANVAS) -> PictureArray:
    folder = root.parent / "cache"
    return cached_pictures(root, paths_in(root), canvas, folder=folder, limit_gib=gib)


def holds_what_the_files_hold(found: PictureArray, root: Path) -> bool:
    return all(
        np.array_equal(found[i], read_picture(root / path, found.canvas))
        for i, path in enumerate(paths_in(root))
    )


def stores(root: Path) -> list[Path]:
    return [entry for entry in (root.parent / "cache").glob("*") if entry.is_dir()]


def test_pictures_are_decoded_once_and_for_later_runs(image_folder: Path, reads: list) -> None:
    first = decoded(image_folder)
    assert len(reads) == 18
    again = decoded(image_folder)
    assert len(reads) == 18
    for found in (first, again):
        assert found.pixels is not None and found.notes == [] and found.reasons == {}
        assert holds_what_the_files_hold(found, image_folder)
    without = decoded(image_folder, gib=0)
    for a, b in zip(vars(without.prints).values(), vars(again.prints).values(), strict=True):
        assert np.array_equal(a, b)


def test_only_changed_and_new_pictures_are_decoded_again(image_folder: Path, reads: list) -> None:
    decoded(image_folder)
    for name, grey in (("jazz/jazz0__0.png", 9), ("rock/new.png", 8)):
        Image.new("RGB", (32, 24), (grey, grey, grey)).save(image_folder / name)
    (image_folder / "blues/blues0__0.png").unlink()
    reads.clear()
    found = decoded(image_folder)
    assert sorted(reads) == ["jazz0__0.png", "new.png"]
    assert holds_what_the_files_hold(found, image_folder)
    assert len(stores(image_folder)) == 1, "the stale store is removed"


def test_a_change_that_keeps_size_and_time_is_seen(image_folder: Path) -> None:
    """As when a picture is replaced by a copy that keeps its times."""
    file, other = (image_folder / f"jazz/jazz0__{i}.png" for i in range(2))
    for path, grey in ((file, 50), (other, 60)):
        Image.new("L", (32, 24), grey).save(path, compress_level=0)
    before = file.stat()
    assert (decoded(image_folder)[6] == 50).all()
    assert other.stat().st_size == before.st_size
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    time.sleep(0.02)  # a tick of the file system's clock
    other.replace(file)
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert (decoded(image_folder)[6] == 60).all()


def test_each_canvas_and_folder_has_its_own_store(image_folder: Path) -> None:
    small, large = decoded(image_folder), decoded(image_folder, canvas=(32, 24))
    assert small[0].shape == (18, 24, 3) and large[0].shape == (24, 32, 3)
    assert holds_what_the_files_hold(large, image_folder)
    assert len(stores(image_folder)) == 2


def test_damaged_pictures_are_remembered_until_they_are_mended(
    image_folder: Path, reads: list
) -> None:
    file = image_folder / "jazz/jazz0__0.png"
    whole = file.read_bytes()
    file.write_bytes(whole[:200])
    first = decoded(image_folder)
    reads.clear()
    again = decoded(image_folder)
    assert reads == []
    assert first.reasons == again.reasons
    [(position, reason)] = again.reasons.items()
    assert paths_in(image_folder)[position] == "jazz/jazz0__0.png"
    assert reason.startswith(f"{file}: unreadable picture")
    readable = again.take(np.setdiff1d(np.arange(18), [position]))
    assert len(readable) == 17
    assert np.array_equal(readable[6], read_picture(image_folder / "jazz/jazz0__1.png", CANVAS))
    file.write_bytes(whole)
    assert decoded(image_folder).reasons == {}


def test_what_is_larger_than_the_limit_is_not_kept_and_that_is_said(
    image_folder: Path, reads: list
) -> None:
    n_bytes = 18 * 24 * 18 * 3
    found = decoded(image_folder, gib=n_bytes / GIB)  # and nothing left for the index
    [note] = found.notes
    assert "more than --cache-limit" in note and "again in every epoch" in note
    assert found.pixels is None and used(image_folder.parent / "cache") <= n_bytes
    assert holds_what_the_files_hold(found, image_folder)


def test_without_room_for_pixels_damage_and_prints_are_still_remembered(
    image_folder: Path, reads: list
) -> None:
    (image_folder / "jazz/jazz0__0.png").write_bytes(b"text")
    limit = 100_000 / GIB  # the pixels of 18 pictures of 64x48 take 166 kB
    first = decoded(image_folder, gib=limit, canvas=(64, 48))
    reads.clear()
    again = decoded(image_folder, gib=limit, canvas=(64, 48))
    assert reads == [] and again.pixels is None
    assert first.reasons == again.reasons != {}
    assert first.notes == again.notes != []
    assert 0 < used(image_folder.parent / "cache") <= 100_000
    assert decoded(image_folder, gib=1, canvas=(64, 48)).pixels is not None


def test_the_stores_used_longest_ago_make_room(image_folder: Path) -> None:
    folders = [image_folder]
    for name in ("b", "c"):
        folders.append(image_folder.with_name(name))
        shutil.copytree(image_folder, folders[-1])
    limit = 2.5 * 50_000 / GIB  # a store takes 43 to 50 kB
    names = []
    for i in (0, 1, 0, 2):  # the second is the one used longest ago when the third comes
        before = set(stores(image_folder))
        assert decoded(folders[i], gib=limit).notes == []
        names += set(stores(image_folder)) - before
        time.sleep(0.02)
    assert {store.name for store in stores(image_folder)} == {names[0].name, names[2].name}
    assert used(image_folder.parent / "cache") <= limit * GIB
    decoded(folders[0], gib=limit / 2.5)
    assert used(image_folder.parent / "cache") <= limit * GIB / 2.5, "a lower limit is kept to"


@pytest.mark.parametrize("damage", ["short", "no index", "text", "empty"])
def test_a_damaged_store_is_made_again(image_folder: Path, damage: str) -> None:
    decoded(image_folder)
    [store] = stores(image_folder)
    pixels, index = store / "pixels", store / "index.npz"
    if damage == "short":
        os.truncate(pixels, pixels.stat().st_size - 1)
    elif damage == "no index":
        index.unlink()
    else:
        index.write_bytes(b"text" if damage == "text" else b"")
    found = decoded(image_folder)
    assert found.notes == [] and holds_what_the_files_hold(found, image_folder)
    assert pixels.stat().st_size == 18 * 24 * 18 * 3


def start(root: Path, go: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", SCRIPT, root, root.parent / "cache", go]
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def until(reached: Callable[[], object]) -> None:
    """Wait at most a minute for `reached()`."""
    for _ in range(6000):
        if reached():
            return
        time.sleep(0.01)
    raise TimeoutError


def test_a_killed_build_leaves_nothing_that_is_taken_for_whole(
    image_folder: Path, tmp_path: Path
) -> None:
    cache = image_folder.parent / "cache"
    killed = start(image_folder, tmp_path / "never")
    until(lambda: list(cache.glob("*.part/pixels")))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert list(cache.glob("*.part"))
    found = decoded(image_folder)
    assert found.notes == [] and holds_what_the_files_hold(found, image_folder)
    assert not list(cache.glob("*.part"))


def test_two_processes_that_begin_at_once_share_one_store(
    image_folder: Path, tmp_path: Path
) -> None:
    cache, go = image_folder.parent / "cache", tmp_path / "go"
    first = start(image_folder, go)
    until(lambda: list(cache.glob("*.part/pixels")))
    second = start(image_folder, tmp_path / "never")  # it must not decode a single picture
    line = second.stderr.readline()  # type: ignore[union-attr]
    assert line == f"waiting for another process that decodes into {cache}\n"
    go.touch()
    for process in (first, second):
        stdout, stderr = process.communicate(timeout=60)
        assert (process.returncode, stdout, stderr) == (0, "18\n", "")
    assert len(stores(image_folder)) == 1


def test_a_disk_that_fills_up_ends_in_a_note(image_folder: Path) -> None:
    """A limit on the size of a file stands in for the disk: the write fails in the middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        found = decoded(image_folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    [note] = found.notes
    assert note == (
        f"decoded pictures could not be kept in {image_folder.parent / 'cache'} (File too large): "
        "they are decoded again in every epoch; --cache takes another folder"
    )
    assert stores(image_folder) == []
    assert holds_what_the_files_hold(found, image_folder)


def test_a_disk_that_is_nearly_full_is_not_filled_up(
    image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoints of the run need room as well."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=GIB + 1000))
    found = decoded(image_folder)
    assert "has room for" in found.notes[0]
    assert used(image_folder.parent / "cache") == 0


def test_a_cache_that_cannot_be_made_ends_in_a_note(image_folder: Path) -> None:
    (image_folder.parent / "cache").write_text("a file")
    found = decoded(image_folder)
    assert "could not be kept" in found.notes[0]
    assert holds_what_the_files_hold(found, image_folder)


def test_the_folder_is_the_one_asked_for_then_the_variable_then_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPECTROFOLD_CACHE", str(tmp_path / "variable"))
    assert cache_folder("asked") == Path("asked")
    assert cache_folder(None) == tmp_path / "variable"
    monkeypatch.delenv("SPECTROFOLD_CACHE")
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache_folder(None) == tmp_path / "spectrofold"


def test_pixels_that_are_not_what_was_decoded_are_decoded_again(
    image_folder: Path, reads: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Noise of the same size in the cache took accuracy from 0.6 to 0.1 without a word."""
    decoded(image_folder)
    [pixels] = (image_folder.parent / "cache").glob("*/pixels")
    size = pixels.stat().st_size
    noise = np.random.default_rng(0).integers(0, 256, size // 2, dtype=np.uint8).tobytes()
    with pixels.open("r+b") as file:
        file.write(noise)
    reads.clear()
    found = decoded(image_folder)
    for _ in range(2):
        assert holds_what_the_files_hold(found, image_folder)
    assert len(set(reads)) == 9, "the first half, of 18 pictures"
    part = found.take(np.array([17, 1]))
    assert np.array_equal(part[1], found[1]) and np.array_equal(part[0], found[17])
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and str(pixels.parent) in said


def test_a_new_cache_takes_over_no_damaged_pixels(image_folder: Path) -> None:
    decoded(image_folder)
    [pixels] = (image_folder.parent / "cache").glob("*/pixels")
    with pixels.open("r+b") as file:
        file.write(bytes(pixels.stat().st_size))
    shutil.copy(next(image_folder.glob("rock/*")), image_folder / "rock" / "more__0.png")
    assert holds_what_the_files_hold(decoded(image_folder), image_folder)
    again = decoded(image_folder)
    assert (again.pixels is not None) and again.pixels[:-1].any()


@pytest.mark.parametrize("name", ["digests", "thumbnails", "blank", "unreadable"])
def test_an_index_of_other_lengths_is_not_believed(image_folder: Path, name: str) -> None:
    decoded(image_folder)
    [file] = (image_folder.parent / "cache").glob("*/index.npz")
    with np.load(file) as index:
        values = dict(index)
    values[name] = np.array([999]) if name == "unreadable" else values[name][:-1]
    values["reasons"] = np.array(["x"]) if name == "unreadable" else values["reasons"]
    np.savez(file, **values)
    found = decoded(image_folder)
    assert not found.reasons and holds_what_the_files_hold(found, image_folder)
