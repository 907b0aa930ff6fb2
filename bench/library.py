"""What a library of songs takes, and whether it keeps what it promises.

python -m bench.library MUSIC --model runs/latest

MUSIC: recordings of at least 20 s, such as the model was trained on. Measured are: a scan that is
killed ten times against an undisturbed one; size of an index of 50,000 songs, `similar` in it, from
Enter and inside, and what visitors of the page wait for; all of bench.similar; the precision that
is promised, over 20 splits of the held-out groups of the model's run; 200 files of six formats
tagged and undone. Exit code 1 if an index or a file differs. ffmpeg encodes.
"""

import hashlib
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import binom

from app.library import Library
from bench import similar
from common.cli import BAD_INPUT, DONE, PositiveInt, config_from, make_parser, option, run
from common.files import digest_of
from inference.clips import Cutting
from inference.library.analysis import N_DIMENSIONS, Analysis, open_analyser
from inference.library.browse import ORDERS, Search
from inference.library.fingerprint import BANDS, COLUMNS
from inference.library.index import File, Index, IndexedModel
from inference.library.precision import HeldOut, read_held_out, thresholds
from inference.library.similar import Embeddings, Query, nearest
from inference.prediction import ClipPrediction, Prediction
from render.audio.tags import SongTags
from render.sources.folders import audio_files

PRECISIONS = (0.9, 0.95, 0.99)
ROOT = Path(__file__).resolve().parent.parent
FORMATS = ("mp3", "flac", "ogg", "opus", "m4a", "wav")
INDEXED = (
    "SELECT path, digest, label, probability, fingerprint, embedding, difference FROM songs "
    "JOIN answers ON answers.song = songs.id JOIN embeddings ON embeddings.song = songs.id "
    "LEFT JOIN differences ON differences.song = songs.id ORDER BY path"
)


@dataclass(frozen=True)
class LibraryBench:
    """Measuring"""

    model: str = option("runs/latest", "model.onnx, or a run's folder with its predictions.csv")
    songs: PositiveInt = option(50_000, "songs of the simulated library")
    kills: PositiveInt = option(10, "how often the scan is killed")
    splits: PositiveInt = option(20, "splits of the held-out groups")
    tagged: PositiveInt = option(200, "files that are tagged and undone")


def main() -> int:
    """Measure everything; the exit code."""
    parser = make_parser("python -m bench.library", (__doc__ or "").strip(), LibraryBench)
    parser.add_argument("music", type=Path, help="folder of recordings")
    args = parser.parse_args()
    bench = config_from(args, LibraryBench)
    songs = audio_files(args.music)
    if len(songs) < 2:
        raise ValueError(f"{args.music}: at least two recordings are needed")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        promises(bench)
        for n, songs_of_group in ((500, 1), (2000, 1), (2000, 5), (20_000, 5)):
            for precision in PRECISIONS:
                known_promises(precision, n, songs_of_group)
        simulated(bench, folder)
        same = killed_scan(bench, songs, folder) & tagged_and_undone(bench, songs, folder)
        similar.measure(similar.SimilarBench(bench.model), songs, folder)
    return DONE if same else BAD_INPUT


def library(*words: object) -> subprocess.Popen[str]:
    """The command, started."""
    command = [sys.executable, "-m", "inference.library", *map(str, words)]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def finished(*words: object) -> str:
    """What the command says; ValueError if it fails."""
    process = library(*words)
    said, _ = process.communicate()
    if process.returncode != 0:
        raise ValueError(f"{' '.join(map(str, words))} ended with {process.returncode}")
    return said


def promises(bench: LibraryBench) -> None:
    """Thresholds from four fifths of the held-out groups, tried on the last fifth."""
    file = Path(bench.model)
    file = (file if file.is_dir() else file.parent) / "predictions.csv"
    header = file.read_text(encoding="utf-8").splitlines()[0].split(",")
    held_out = read_held_out(file, header[5:])
    print(f"{len(held_out.labels)} held-out songs, {bench.splits} splits of their groups")
    print(
        "precision asked, promised: covered, reached, splits that promise, and reach it in their "
        "fifth, and fall short of it by more than chance (exact binomial test, 5 %)"
    )
    for precision in PRECISIONS:
        for together in (False, True):
            rows = [split(held_out, precision, together, seed) for seed in range(bench.splits)]
            n, covered, right = (sum(column) for column in zip(*rows, strict=True))
            kept = sum(r >= precision * c for _, c, r in rows if c)
            short = sum(binom.cdf(r, c, precision) < 0.05 for _, c, r in rows if c)
            promised = sum(1 for _, c, _ in rows if c)
            reached = f"{right / covered:.1%}" if covered else "nothing"
            name = "all together" if together else "by class"
            counts = f"{promised}, {kept}, {short}"
            print(f"{precision:.2f} {name}: {covered / n:.1%}, {reached}, {counts}", flush=True)


def known_promises(precision: float, n: int, songs_of_group: int, n_draws: int = 300) -> None:
    """Promises where an answer is known to be right with its probability squared."""
    rng, made, broken = np.random.default_rng(1), 0, 0
    for _ in range(n_draws):
        p = rng.uniform(0.5, 1, n // songs_of_group)
        wrong = np.repeat(rng.random(len(p)) >= p**2, songs_of_group).astype(int)
        rows = np.repeat(np.stack([p, 1 - p], axis=1), songs_of_group, axis=0)
        groups = np.repeat(np.arange(len(p)).astype(str), songs_of_group)
        limit = thresholds(HeldOut(("a", "b"), rows, wrong, groups), precision)["a"].probability
        if limit is not None:
            made += 1
            broken += float((np.linspace(limit, 1, 1001) ** 2).mean()) < precision
    drawn = f"{n_draws} draws of {n} songs in groups of {songs_of_group}"
    print(f"{precision:.2f}, {drawn}: {made} promises, {broken} broken", flush=True)


def split(held_out: HeldOut, precision: float, together: bool, seed: int) -> tuple[int, int, int]:
    """(songs, those covered, those of them that are right) of the fifth that was put aside."""
    names = np.unique(held_out.groups)
    aside = np.random.default_rng(seed).permutation(names)[: len(names) // 5]
    tested = np.isin(held_out.groups, aside)
    known = replace(
        held_out,
        probabilities=held_out.probabilities[~tested],
        labels=held_out.labels[~tested],
        groups=held_out.groups[~tested],
    )
    limits = thresholds(known, precision, together=together)
    rows, labels = held_out.probabilities[tested], held_out.labels[tested]
    predicted = rows.argmax(axis=1)
    least = np.array([limits[name].probability or 2.0 for name in held_out.classes])
    covered = rows.max(axis=1) >= least[predicted]
    return len(labels), int(covered.sum()), int((covered & (predicted == labels)).sum())


def simulated(bench: LibraryBench, folder: Path) -> None:
    """An index of random embeddings: its size, the time of `similar`, and its memory."""
    file, rng = folder / "simulated.db", np.random.default_rng(0)
    classes = [f"class {i}" for i in range(10)]
    analyser = open_analyser(bench.model, Cutting())
    with Index(file, create=True) as index:
        digest = digest_of(analyser.file)
        model = index.add_model(digest, 0, analyser.file, classes)
        index.connection.execute("PRAGMA synchronous = OFF")
        began = time.perf_counter()
        for i in range(bench.songs):
            index.add(*random_song(rng, i, model, classes))
        rate = bench.songs / (time.perf_counter() - began)
    print(f"{bench.songs} songs: index of {file.stat().st_size / 1e6:.0f} MB, {rate:.0f} added a s")
    with Index(file) as index:
        embeddings, times = Embeddings(index, model), list[tuple[float, float]]()
        for i in range(20):
            query = Query(embeddings.kept[i])
            clocks = time.perf_counter(), time.process_time()
            nearest(index, model, embeddings, query, 20)
            times.append((time.perf_counter() - clocks[0], time.process_time() - clocks[1]))
    wall, busy = 1000 * np.median(times, axis=0)
    print(f"similar inside: median {wall:.0f} ms of 20, {busy:.0f} ms of a core")
    from_enter, before = list[float](), resource.getrusage(resource.RUSAGE_CHILDREN)
    for i in range(10):
        began = time.perf_counter()
        finished("similar", f"/music/{i:06d}.mp3", "--index", file)
        from_enter.append(time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"similar from Enter: median {np.median(from_enter):.2f} s of 10 ({min(from_enter):.2f} to "
        f"{max(from_enter):.2f}), {busy / 10:.2f} s of a core; memory at most "
        f"{after.ru_maxrss / 1024:.0f} MiB",
        flush=True,
    )
    browsed(file, analyser.file, rng)


def browsed(file: Path, model: Path, rng: np.random.Generator, n_draws: int = 200) -> None:
    """Milliseconds that the page's server takes for what a visitor of a library asks."""
    library = Library(file, model, None)
    ((n,),) = Index(file).rows("SELECT count(*) FROM songs")

    def page() -> object:
        order = rng.choice(list(ORDERS))
        return library.search(Search(order=order), int(rng.integers(n)))

    def search() -> object:
        words = f"song {rng.integers(1000)} art"
        label = str(rng.choice(["", "class 3"]))
        certainty = rng.choice(["", "perhaps"])
        return library.search(Search(words, label, certainty, rng.choice(list(ORDERS))), 0)

    asked = {"a page anywhere": page, "a search": search}
    asked["a letter of all songs"] = lambda: library.search(Search(rng.choice(list("ams"))), 0)
    asked["similar songs"] = lambda: library.similar(int(rng.integers(1, n + 1)))
    for what, ask in asked.items():
        ask()
        times = []
        for _ in range(n_draws):
            began = time.perf_counter()
            ask()
            times.append(1000 * (time.perf_counter() - began))
        middle, high = np.percentile(times, [50, 95])
        print(f"on the page, {what}: p50 {middle:.0f} ms, p95 {high:.0f} ms", flush=True)
    library.close()


def random_song(
    rng: np.random.Generator, i: int, model: IndexedModel, classes: Sequence[str]
) -> tuple[File, SongTags, IndexedModel, Analysis]:
    """A song of four minutes that nobody has played."""
    p = rng.dirichlet(np.full(len(classes), 0.2))
    named = dict(zip(classes, p.tolist(), strict=True))
    best = classes[int(p.argmax())]
    end = ClipPrediction(230.0, 240.0, best, float(p.max()), named, None)
    embedding, difference = rng.standard_normal((2, N_DIMENSIONS)).astype(np.float32)
    analysis = Analysis(
        Prediction(f"/music/{i:06d}.mp3", best, float(p.max()), named, timeline=(end,)),
        embedding / np.linalg.norm(embedding),
        rng.integers(0, 256, BANDS * COLUMNS, dtype=np.uint8),
        float(rng.uniform(0.5, 1.5)),
        difference / np.linalg.norm(embedding) / 4,
    )
    file = File(
        Path(f"/music/{i:06d}.mp3"), 8_000_000, i, hashlib.sha256(str(i).encode()).hexdigest()
    )
    return file, SongTags(f"Song {i}", f"Artist {i % 5000}"), model, analysis


def killed_scan(bench: LibraryBench, songs: Sequence[Path], folder: Path) -> bool:
    """Whether a scan that is killed again and again ends with the index of an undisturbed one."""
    music = folder / "music"
    music.mkdir()
    for i, song in enumerate(songs):
        (music / f"{i}{song.suffix}").symlink_to(song.resolve())
    began = time.perf_counter()
    finished("scan", music, "--model", bench.model, "--index", folder / "undisturbed.db")
    seconds, kills, draw = time.perf_counter() - began, 0, random.Random(0)
    words = ("scan", music, "--model", bench.model, "--index", folder / "killed.db")
    for _ in range(bench.kills):
        process = library(*words)
        time.sleep(draw.uniform(0, 2 * seconds / bench.kills) + 0.5)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
    finished(*words)
    held = [rows_of(folder / name) for name in ("undisturbed.db", "killed.db")]
    same = held[0] == held[1]
    print(
        f"scan of {len(songs)} recordings ({seconds:.0f} s) killed {kills} times: the index is "
        + ("the same" if same else "ANOTHER"),
        flush=True,
    )
    return same


def rows_of(index: Path) -> list[tuple[object, ...]]:
    """All that an index holds of songs and answers."""
    with closing(sqlite3.connect(index)) as db:
        return db.execute(INDEXED).fetchall()


def tagged_and_undone(bench: LibraryBench, songs: Sequence[Path], folder: Path) -> bool:
    """Whether files of six formats are tagged, and come back byte for byte."""
    music = folder / "encoded"
    music.mkdir()
    for i in range(bench.tagged):
        similar.encode(
            songs[i % len(songs)], music / f"{i}.{FORMATS[i % len(FORMATS)]}", ("-t", "12")
        )
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in music.iterdir()}
    index = ("--index", folder / "tagged.db")
    finished("scan", music, "--model", bench.model, *index)
    sure = folder / "sure.csv"
    certain_of_everything(folder / "tagged.db", sure)
    finished("tag", "--precision", "0.5", "--predictions", sure, "--write", *index)
    changed = sum(file.read_bytes() != content for file, (content, _) in before.items())
    with closing(sqlite3.connect(folder / "tagged.db")) as db:
        ((size,),) = db.execute("SELECT sum(length(undo)) FROM journal")
    kept = (size or 0) / max(1, changed)
    finished("undo", *index)
    same = all(
        (file.read_bytes(), file.stat().st_mtime_ns) == facts for file, facts in before.items()
    )
    print(
        f"{changed} of {len(before)} files of {len(FORMATS)} formats tagged ({kept:.0f} bytes of "
        f"journal a file) and undone: {'all bytes and times are' if same else 'NOT'} as before"
    )
    return same


def certain_of_everything(index: Path, file: Path) -> None:
    """Held-out answers that promise every class from 0 on: what is tested here is the writing."""
    with Index(index) as opened:
        classes = opened.models()[0].classes
    lines = ["path,label,group,split,predicted," + ",".join(classes)]
    for label in classes:
        for i in range(20):
            row = [f"{1.0 if name == label else 0.0}" for name in classes]
            low = ["0.0001" if name == label else "0.0" for name in classes]
            values = ",".join(row if i < 19 else low)
            lines.append(f"{label}/{label}{i}__0.png,{label},{label}{i},1,{label},{values}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run(main)
