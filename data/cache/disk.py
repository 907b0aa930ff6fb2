"""Pictures decoded once and kept on disk, for all folds, epochs, threads, processes and later runs.

A store is a folder `<place>-<content>` with `pixels`, uint8 (n, H, W, 3), and `index.npz`. Its name
says which pictures it holds, at which canvas, and how large and how old each file was: whatever
changes, it is another store. It is filled under another name and renamed when it is whole; one
process at a time fills, and the others wait for what it makes.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from data.cache.entry import DAMAGED, CacheKey, PixelFile, file_stamps, open_entry, write_index
from data.images.drawing import PLAIN, Drawing
from data.images.picture_array import KnownPictures, PictureArray, decode_pictures

GIB = 2**30
SPARE = GIB  # bytes of the disk that are left free: checkpoints need them


def cache_folder(asked: str | None) -> Path:
    """The folder asked for, else $SPECTROFOLD_CACHE, else the user's cache folder."""
    chosen = asked or os.environ.get("SPECTROFOLD_CACHE")
    return Path(chosen) if chosen else user_cache_path("spectrofold", appauthor=False)


def cached_pictures(
    root: Path,
    paths: np.ndarray,
    canvas: tuple[int, int],
    drawing: Drawing = PLAIN,
    *,
    folder: Path,
    limit_gib: float,
) -> PictureArray:
    """The pictures root/paths at `canvas` = (width, height), from the stores in `folder`.

    Every file is decoded once, so that every damaged one is known. All stores together take at most
    `limit_gib` GiB: those used longest ago are removed. Where the pixels find no room or cannot be
    written, they are decoded whenever they are asked for, and a note says so.
    """
    if not limit_gib:
        return decode_pictures(root, paths, canvas, drawing)
    wanted = CacheKey(root, paths, canvas, file_stamps(root, paths), drawing)
    limit = int(limit_gib * GIB)
    found = wanted.open_in(folder)
    if found and found.pixels is not None and used(folder) <= limit:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            return _fill(folder, wanted, limit)
    except OSError as error:
        return _unkept(decode_pictures(root, paths, canvas, drawing), folder, error)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Inside, no other process writes to the folder; the lock ends with its holder."""
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that decodes into {folder}", file=sys.stderr)
        lock.acquire()
    try:
        for left in folder.glob("*.part"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.release()


def _fill(folder: Path, wanted: CacheKey, limit: int) -> PictureArray:
    """The pictures: from their store, or from the files, and then in a store if there is room."""
    index, pixels = wanted.n_bytes()
    room = min(limit, used(folder) + shutil.disk_usage(folder).free - SPARE)
    keep = index + pixels <= room
    notes = [] if keep else [_too_large(index + pixels, limit, room, folder)]
    found = wanted.open_in(folder)  # another process may have made it while this one waited
    if found and (found.pixels is not None) == keep:
        _make_room(folder, limit, wanted.place())
        found.notes.extend(notes)
        return found
    _make_room(folder, room - index - pixels * keep, wanted.place())
    if not keep and index > room:
        made = decode_pictures(wanted.root, wanted.paths, wanted.canvas, wanted.drawing)
    else:
        made = _store(folder, wanted, keep)
    made.notes.extend(notes)
    return made


def _store(folder: Path, wanted: CacheKey, keep: bool) -> PictureArray:
    """The pictures, in a new store that replaces earlier ones; `keep`: with the pixels."""
    store = folder / wanted.name()
    part = store.with_name(f"{store.name}.part")
    part.mkdir()
    try:
        out = PixelFile(part / "pixels") if keep else None
        earlier = _earlier(folder, wanted, with_pixels=keep)
        made = decode_pictures(
            wanted.root,
            wanted.paths,
            wanted.canvas,
            wanted.drawing,
            earlier=earlier,
            write=out.write if out else None,
        )
        try:
            if out:
                out.close()
            write_index(part / "index.npz", made, wanted.stamps)
            for stale in _stores(folder, wanted.place()):
                _remove(stale)
            part.rename(store)
        except OSError as error:
            return _unkept(made, folder, error)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return wanted.open_in(folder) or made


def _earlier(folder: Path, wanted: CacheKey, *, with_pixels: bool) -> KnownPictures | None:
    """What a store of another state of the folder knows of files that have not changed since."""
    for store in _stores(folder, wanted.place()):
        try:
            with np.load(store / "index.npz") as index:
                paths, stamps = index["paths"], index["stamps"]
        except DAMAGED:
            continue
        found = open_entry(store, replace(wanted, paths=paths, stamps=stamps))
        if found and (found.pixels is not None or not with_pixels):
            row_of = {path: row for row, path in enumerate(paths.tolist())}
            rows = np.array([row_of.get(path, -1) for path in wanted.paths.tolist()])
            changed = (stamps[rows] != wanted.stamps).any(axis=1)
            return KnownPictures(found, np.where(changed, -1, rows))
    return None


def used(folder: Path) -> int:
    """Bytes in all stores of the folder."""
    return sum(file.stat().st_size for file in folder.glob("*/*") if file.exists())


def _stores(folder: Path, place: str = "") -> list[Path]:
    return [store for store in folder.glob(f"{place}*-*") if store.suffix != ".part"]


def _make_room(folder: Path, most: int, place: str) -> None:
    """Remove stores, those of `place` and those used last at the end, until all take `most`."""
    stores = _stores(folder)
    stores.sort(key=lambda store: (store.name.startswith(place), store.stat().st_mtime))
    for store in stores:
        if used(folder) <= most:
            return
        _remove(store)


def _remove(store: Path) -> None:
    doomed = store.with_name(f"{store.name}.old.part")  # nobody is to open what is half removed
    try:
        store.rename(doomed)
    except OSError:  # Windows does not move what is in use
        return
    shutil.rmtree(doomed, ignore_errors=True)


def _too_large(needed: int, limit: int, room: int, folder: Path) -> str:
    most = f"--cache-limit {limit / GIB:g}" if room == limit else f"{folder} has room for"
    return (
        f"decoded pictures would take {needed / GIB:.2g} GiB, more than {most}: they are decoded "
        "again in every epoch"
    )


def _unkept(made: PictureArray, folder: Path, error: OSError) -> PictureArray:
    made.notes.append(
        f"decoded pictures could not be kept in {folder} ({error.strerror or error}): they are "
        "decoded again in every epoch; --cache takes another folder"
    )
    return made
