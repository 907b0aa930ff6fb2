"""A folder of music into the index: what is new is heard, what was moved or removed is noticed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from common.files import absolute, check_regular, digest_of, near
from inference.library.analysis import Analyser, Analysis
from inference.library.index import File, Index, IndexedModel
from inference.pipeline import in_order
from render.audio.tags import SongTags, read_tags


@dataclass(frozen=True)
class Difference:
    """How a folder differs from the index. moved: (number of the song, the file's new place)."""

    found: tuple[File, ...]
    moved: tuple[tuple[int, File], ...]
    changed: tuple[File, ...]
    removed: tuple[int, ...]


@dataclass(frozen=True)
class Heard:
    """A file that was heard. found: what the index keeps of it, or why there is nothing."""

    file: File
    tags: SongTags
    found: Analysis | str


def files_below(root: Path) -> tuple[File, ...]:
    """The recordings below a folder, by their absolute paths, without digests.

    Raises ValueError when there are none: a disk that is not there is no reason to forget it.
    """
    from render.sources.folders import audio_files

    if not root.is_dir():
        raise ValueError(f"{root}: no such folder; expected a folder of music{near(root)}")
    found = []
    for path in audio_files(absolute(root)):
        try:
            facts = path.stat()
        except OSError:  # removed since, or a link to nothing
            continue
        found.append(File(path, facts.st_size, facts.st_mtime_ns))
    if not found:
        raise ValueError(f"{root}: no recordings there; the index is left as it is")
    return tuple(found)


def compare(index: Index, root: Path) -> Difference:
    """How the recordings below a folder differ from those of the index."""
    found = files_below(root)
    known = index.files(absolute(root))
    here = {file.path for file in found}
    gone = {i: file for path, (i, file) in known.items() if path not in here}
    elsewhere = _elsewhere(index, gone)
    sizes = {file.size for file in [*gone.values(), *elsewhere.values()]}
    moved, changed, left = list[tuple[int, File]](), list[File](), gone | elsewhere
    for file in found:
        i, before = known.get(file.path, (0, None))
        if before is None:
            if file.size in sizes and (song := _same(file := _digested(file), left)):
                moved.append((song, file))
                del left[song]
        elif (before.size, before.mtime_ns) != (file.size, file.mtime_ns):
            file = _digested(file)
            if file.digest == before.digest:
                moved.append((i, file))  # only its time is another
            else:
                changed.append(file)
    places = {i for i, _ in moved}
    return Difference(
        found, tuple(moved), tuple(changed), tuple(i for i in gone if i not in places)
    )


def _elsewhere(index: Index, gone: dict[int, File]) -> dict[int, File]:
    """The songs of other folders whose files are no longer there: they may have come here."""
    files = {i: file for i, file in index.files().values() if i not in gone}
    return {i: file for i, file in files.items() if not file.path.exists()}


def _digested(file: File) -> File:
    try:
        check_regular(file.path)
        return replace(file, digest=digest_of(file.path))
    except (ValueError, OSError):
        return file


def _same(file: File, candidates: dict[int, File]) -> int | None:
    return next((i for i, one in candidates.items() if one.digest == file.digest), None)


def note(index: Index, difference: Difference) -> None:
    """Note in the index what was moved and removed; changed files are heard anew."""
    with index.transaction():
        for song, file in difference.moved:
            index.move(song, file)
    index.remove(difference.removed)


def waiting(index: Index, model: IndexedModel, difference: Difference) -> list[File]:
    """The files that the model has not heard, by path, with the digest where it is known."""
    done, known = index.done(model), index.files()
    changed = {file.path for file in difference.changed}
    left = []
    for file in difference.found:
        i, before = known.get(file.path, (0, None))
        if before is None or file.path in changed:
            left.append(file)
        elif i not in done:
            left.append(before)
    return left


def hear(
    index: Index, model: IndexedModel, analyser: Analyser, files: list[File], n_threads: int
) -> Iterator[Heard]:
    """Hear files on all cores and note each as soon as it is known."""
    by_path = {str(file.path): file for file in files}

    def one(path: str) -> Heard:
        file = by_path[path]
        try:
            check_regular(path)
            file = file if file.digest else replace(file, digest=digest_of(file.path))
            return Heard(file, read_tags(file.path), analyser.analyse(file.path))
        except (ValueError, OSError) as error:
            reason = str(error)  # which names the file, unless its disk failed while it was read
            return Heard(file, SongTags(), reason if path in reason else f"{path}: {reason}")

    for heard in in_order(one, by_path, n_threads, lambda: None):
        index.add(heard.file, heard.tags, model, heard.found)
        yield heard
