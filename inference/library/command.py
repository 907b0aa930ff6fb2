"""What python -m inference.library does, verb by verb; each returns the exit code."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from common.cli import BAD_INPUT, DONE, SOME_LEFT_OUT
from common.files import absolute, changing, check_regular, digest_of
from common.progress import tracked
from common.recordings import SEPARATOR, labels_of
from common.text import printable
from inference.library.config import Request
from inference.library.index import Index, IndexedModel, Song
from inference.library.precision import Threshold
from inference.library.similar import (
    Embeddings,
    Query,
    nearest,
    query_of_indexed,
    split_moment,
)
from inference.prediction import NONE, LeftOut


def scan(request: Request) -> int:
    """Hear what is new below a folder and say what was found."""
    from inference.clips import Cutting
    from inference.library.analysis import open_analyser
    from inference.library.scan import compare, hear, note, waiting
    from render.parallel import n_cores

    root, file = Path(request.arguments[0]), Path(request.library.index)
    given = request.library.model or (_last_model(file) if file.is_file() else "runs/latest")
    clips = request.scan.clips
    analyser = open_analyser(given, Cutting(n_clips=clips))
    with Index(file, create=True) as index, changing(index.file):
        model = index.add_model(
            _digest(analyser.file),
            clips or 0,
            analyser.file,
            analyser.model.classes,
            analyser.model.facts.several is not None,
        )
        difference = compare(index, root)
        index.add_root(absolute(root))
        note(index, difference)
        files = waiting(index, model, difference)
        print(
            f"{len(difference.found)} recordings in {root}: {len(files)} to hear"
            f" ({len(difference.changed)} changed), {len(difference.moved)} moved, "
            f"{len(difference.removed)} removed",
            flush=True,
        )
        heard = hear(index, model, analyser, files, n_cores())
        failed = [
            one
            for one in tracked(heard, "hearing", len(files), "songs")
            if isinstance(one.found, str)
        ]
        n_answered = len(index.numbers(model))
    for one in failed:
        print(f"error: {printable(str(one.found))}", file=sys.stderr)
    print(f"{file}: {n_answered} songs answered by {analyser.file}")
    if failed:
        return SOME_LEFT_OUT if n_answered else BAD_INPUT
    return DONE


def similar(request: Request) -> int:
    """Print the songs nearest to one, or to a moment of it."""
    with _opened(request) as (index, model):
        path, moment = split_moment(request.arguments[0])
        query = query_of_indexed(index, model, path) if moment is None else None
        if query is None:
            query = _query_of_file(model, path, moment)
        near = nearest(index, model, Embeddings(index, model), query, request.list.n)
        songs = {song.id: song for song in index.songs(model, [one.song for one in near])}
    for one in near:
        _print(f"{one.kind} {one.cosine:.3f}", songs[one.song])
    return DONE


def _query_of_file(model: IndexedModel, path: str, moment: float | None) -> Query:
    from inference.clips import Cutting
    from inference.library.analysis import open_analyser

    check_regular(path)
    # As the index was made, or its fingerprints would be of other moments.
    cutting = Cutting(n_clips=None if moment is not None else model.clips or None)
    found = open_analyser(model.file, cutting).analyse(Path(path), moment)
    place, digest = absolute(path), digest_of(Path(path))
    if moment is not None:
        return Query(found.embedding, place, digest)
    seconds = found.prediction.timeline[-1].end_s
    return Query(found.embedding, place, digest, seconds, found.fingerprint)


def doubtful(request: Request) -> int:
    """Print the songs whose check is worth most."""
    from inference.library.review import most_doubtful

    with _opened(request) as (index, model):
        songs = _songs(index, model)
        ranked = most_doubtful(songs, Embeddings(index, model), request.list.n)
    for gain, song in ranked:
        _print(f"gain {gain:.3f}", song)
    return DONE


def odd(request: Request) -> int:
    """Print what is least like the rest of a class, a folder or a playlist."""
    from inference.library.review import least_like_the_rest, members

    with _opened(request) as (index, model):
        some = members(_songs(index, model), request.arguments[0], model.classes)
        ranked = least_like_the_rest(some, Embeddings(index, model), request.list.n)
    for likeness, song in ranked:
        _print(f"likeness {likeness:.3f}", song)
    return DONE


def stats(request: Request) -> int:
    """Print how many songs each class and each decade has, and how like the training they are."""
    from inference.library.review import summary

    with _opened(request) as (index, model):
        lines = summary(_songs(index, model), index.failures(model))
    print(*(printable(line, keep="\t") for line in lines), sep="\n")
    return DONE


def tag(request: Request) -> int:
    """Say what the promise covers, and print or write the genres that it covers."""
    from inference.library.tagging import changes, covered, write

    with _opened(request) as (index, model):
        limits = _limits(model, request)
        songs = _songs(index, model)
        n_covered = sum(bool(covered(song, limits)) for song in songs)
        planned = list(changes(songs, limits, add=request.tag.add))
        share = n_covered / max(1, len(songs))
        print(
            f"{n_covered} of {len(songs)} songs ({share:.0%}) are covered; "
            f"{len(planned)} have another genre or none"
        )
        if not request.tag.write:
            for change in planned:
                _print_change(change.song.file.path, change.before, change.after)
            print("nothing is written; tag --write does it, and undo takes it back")
            return DONE
        n_written, left_out = 0, list[LeftOut]()
        with changing(index.file):
            for one in write(index, planned):
                if isinstance(one, LeftOut):
                    left_out.append(one)
                else:
                    _print_change(one.song.file.path, one.before, one.after)
                    n_written += 1
    print(f"{n_written} files tagged; python -m inference.library undo takes it back")
    return _exit_code(n_written, left_out)


def undo(request: Request) -> int:
    """Give the files of the last tagging, or of all, their bytes back."""
    from itertools import takewhile

    from inference.library import tagging
    from inference.library.journal import Journal

    n_undone, left_out = 0, list[LeftOut]()
    with Index(Path(request.library.index)) as index, changing(index.file):
        journal = Journal(index)
        last = journal.next_run() - 1
        entries = takewhile(lambda e: request.undo.all_runs or e.run == last, journal.entries())
        for one in tagging.undo(index, entries):
            if isinstance(one, LeftOut):
                left_out.append(one)
            else:
                _print_change(one.path, one.after, one.before)
                n_undone += 1
    why = "" if n_undone or left_out else f": nothing is left to undo in {request.library.index}"
    print(f"{n_undone} files are as they were before{why}")
    return _exit_code(n_undone, left_out)


def playlists(request: Request) -> int:
    """Write a playlist of each class, of the songs that the promise covers."""
    from inference.library.tagging import covered
    from inference.output import write_playlists

    with _opened(request) as (index, model):
        limits = _limits(model, request)
        songs = _songs(index, model)
    promised = [
        replace(song.prediction, label=SEPARATOR.join(labels))
        for song in songs
        if (labels := covered(song, limits))
    ]
    folder = Path(request.arguments[0])
    files = write_playlists(folder, promised, relative=request.playlists.relative)
    print(f"{len(promised)} of {len(songs)} songs in {len(files)} playlists in {folder}")
    if not promised:
        print(
            "a lower --precision may promise more; without a promise, every song by its likeliest "
            f"class: python predict.py {model.file} MUSIC --sort {folder}"
        )
    return DONE


def export(request: Request) -> int:
    """Write all that is known of the songs into a table."""
    from inference.library.review import write_table

    file = Path(request.arguments[0])
    with _opened(request) as (index, model):
        n_rows = write_table(file, _songs(index, model), model.classes)
    print(f"{file}: {n_rows} songs")
    return DONE


def correct(request: Request) -> int:
    """Note what a song really is in the table of corrections beside the model."""
    from getpass import getuser

    from data.corrections import add_correction, beside, correction_of

    song, said = request.arguments
    with _opened(request) as (_, model):
        if not (named := labels_of(said, model.classes, several=model.several)):
            known = ", ".join(model.classes)
            also = "; several as 'one;another'" if model.several else ""
            raise ValueError(f"{said}: no class of the model; it knows {known}{also}")
        check_regular(song)
        table, label = beside(model.file), SEPARATOR.join(named)
        add_correction(table, correction_of(Path(song), label, getuser()))
    print(f"{table}: {printable(song)} is {printable(label)}")
    return DONE


def _songs(index: Index, model: IndexedModel) -> list[Song]:
    """The songs with the model's answers, and what somebody said where it was corrected."""
    from inference.library.browse import as_said, corrected

    said = corrected(index, model)
    return [as_said(song, said.get(song.id, ()), model) for song in index.songs(model)]


def _exit_code(n_done: int, left_out: list[LeftOut]) -> int:
    for one in left_out:
        print(f"error: {printable(one.reason)}", file=sys.stderr)
    if left_out:
        return SOME_LEFT_OUT if n_done else BAD_INPUT
    return DONE


def _limits(model: IndexedModel, request: Request) -> dict[str, Threshold]:
    """The threshold of each class for the precision that is asked; said line by line."""
    from inference.library.precision import read_held_out, thresholds

    config = request.promise
    file = Path(config.predictions or model.file.with_name("predictions.csv"))
    if not file.is_file():
        raise ValueError(
            f"no held-out answers at {file}, so nothing can be promised; give --predictions FILE, "
            "the predictions.csv of the run that trained the model"
        )
    held_out = read_held_out(file, model.classes, several=model.several)
    limits = thresholds(held_out, config.precision, together=config.together)
    for label, one in limits.items():
        name = "all classes" if config.together else label
        told = f"{one.n_right} of {one.n} held-out songs right, at least {one.at_least:.1%}"
        if one.probability is None:
            print(
                f"{printable(name)}: not promised: {told}; it takes {one.n_needed} independent "
                "songs even if all are right"
            )
        else:
            print(f"{printable(name)}: from probability {one.probability:.3f} on: {told}")
        if config.together:
            break
    return limits


def _print_change(path: Path, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    texts = [", ".join(genres) or "nothing" for genres in (before, after)]
    print("\t".join(map(printable, (str(path), f"{texts[0]} -> {texts[1]}"))))


def _print(score: str, song: Song) -> None:
    who = " - ".join(text for text in (song.tags.artist, song.tags.title) if text)
    p = song.prediction
    answer = f"{'unsure, nearest ' if p.unsure else ''}{p.label or NONE} {p.probability:.2f}"
    print("\t".join(map(printable, (score, str(song.file.path), answer, who))))


@contextmanager
def _opened(request: Request) -> Iterator[tuple[Index, IndexedModel]]:
    """The index and the model that is asked for; ValueError when it has answered for no song."""
    with Index(Path(request.library.index)) as index:
        yield index, chosen_model(index, request.library.model)


def chosen_model(index: Index, given: str | None) -> IndexedModel:
    """The model of the index that is given, or the last one that was scanned with."""
    models = index.models()
    if not models:
        raise ValueError(f"{index.file}: no model has been scanned with; scan MUSIC first")
    if given is None:
        return models[0]
    from train.run_folder import existing_model

    digest = _digest(existing_model(given).with_suffix(".onnx"))
    for model in models:
        if model.digest == digest:
            return model
    known = ", ".join(str(model.file) for model in models)
    raise ValueError(
        f"--model {given}: {index.file} has not been scanned with it, but with {known}"
    )


def _last_model(file: Path) -> str:
    with Index(file) as index:
        models = index.models()
    return str(models[0].file) if models else "runs/latest"


def _digest(model: Path) -> str:
    try:
        return digest_of(model)
    except OSError as error:
        raise ValueError(f"{model} cannot be read: {error.strerror}") from None


COMMANDS: dict[str, Callable[[Request], int]] = {
    "scan": scan,
    "similar": similar,
    "doubtful": doubtful,
    "odd": odd,
    "stats": stats,
    "tag": tag,
    "undo": undo,
    "playlists": playlists,
    "export": export,
    "correct": correct,
}
