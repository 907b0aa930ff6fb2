"""What stands first among the similar songs of a library.

python -m bench.similar MUSIC --model runs/latest

MUSIC: recordings of at least 20 s. Measured are: the first half of a recording found by its second
half, and the whole by a half; other encodings told from other recordings; and of recordings whose
tags name an artist or an album, how often the nearest other song has the same. ffmpeg encodes.
"""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from common.cli import DONE, config_from, make_parser, option, run
from inference.clips import Cutting
from inference.library.analysis import Analyser, Analysis, open_analyser
from inference.library.fingerprint import likeness
from inference.library.index import File, Index, IndexedModel
from inference.library.similar import Embeddings, Near, Query, nearest
from render.audio.tags import SongTags, read_tags, spelling
from render.sources.folders import audio_files

ENCODINGS = {"mp3": ("-b:a", "96k"), "m4a": ("-b:a", "96k"), "ogg": ("-q:a", "1"), "opus": ()}


@dataclass(frozen=True)
class SimilarBench:
    """Measuring"""

    model: str = option("runs/latest", "model.onnx, or a run's folder")
    encodings: bool = option(True, "encode every recording four times, which takes longest")


def main() -> int:
    """Measure everything; the exit code."""
    parser = make_parser("python -m bench.similar", (__doc__ or "").strip(), SimilarBench)
    parser.add_argument("music", type=Path, help="folder of recordings")
    args = parser.parse_args()
    songs = audio_files(args.music)
    with tempfile.TemporaryDirectory() as made:
        measure(config_from(args, SimilarBench), songs, Path(made))
    return DONE


def measure(bench: SimilarBench, songs: Sequence[Path], folder: Path) -> None:
    """Print what is near to recordings; ValueError if there are fewer than two."""
    if len(songs) < 2:
        raise ValueError(f"{len(songs)} recordings given; at least two are needed")
    analyser = open_analyser(bench.model, Cutting())
    wholes = [analyser.analyse(song) for song in songs]
    halves(analyser, songs, wholes, folder)
    same_names(songs, wholes, folder / "names.db")
    if bench.encodings:
        encodings(analyser, songs, wholes, folder)


def halves(
    analyser: Analyser, songs: Sequence[Path], wholes: Sequence[Analysis], folder: Path
) -> None:
    """Recordings found by another part of them."""
    firsts, seconds = list[Analysis](), list[Analysis]()
    for song in songs:
        y, sr = soundfile.read(song)
        part = folder / "part.wav"
        for kept, piece in ((firsts, y[: len(y) // 2]), (seconds, y[len(y) // 2 :])):
            soundfile.write(part, piece, sr)
            kept.append(analyser.analyse(part))
    print(f"{len(songs)} recordings in halves: the first is nearest to the second in", end=" ")
    print(f"{first_of(folder / 'halves.db', firsts, seconds):.1%},", end=" ")
    print(f"the whole to a half in {first_of(folder / 'wholes.db', wholes, firsts):.1%}")


def first_of(file: Path, indexed: Sequence[Analysis], asked: Sequence[Analysis]) -> float:
    """How often the indexed song of the same place is the first that is found."""
    queries = [Query(one.embedding) for one in asked]
    found = near_to(file, indexed, queries, 1)
    return float(np.mean([near[0].song == i for i, near in enumerate(found)]))


def near_to(
    file: Path, indexed: Sequence[Analysis], queries: Sequence[Query], n: int
) -> list[list[Near]]:
    """What `similar` finds in a new index of analyses; `Near.song` is a place in `indexed`."""
    with Index(file, create=True) as index:
        model = index.add_model("", 0, file, list(indexed[0].prediction.probabilities))
        for i, one in enumerate(indexed):
            index.add(File(Path(f"/{i:06d}"), 0, 0, str(i)), SongTags(), model, one)
        embeddings = Embeddings(index, model)
        places = place_of_song(index, model)
        found = [nearest(index, model, embeddings, query, n) for query in queries]
    return [[Near(places[o.song], o.cosine, o.kind) for o in near] for near in found]


def place_of_song(index: Index, model: IndexedModel) -> dict[int, int]:
    """The place in `near_to`'s list of each song, by its number."""
    return {song.id: int(song.file.path.name) for song in index.songs(model)}


def same_names(songs: Sequence[Path], wholes: Sequence[Analysis], file: Path) -> None:
    """How often the nearest other recording has the artist or the album of the one asked for."""
    queries = [
        Query(
            one.embedding,
            Path(f"/{i:06d}"),
            str(i),
            one.prediction.timeline[-1].end_s,
            one.fingerprint,
        )
        for i, one in enumerate(wholes)
    ]
    found = near_to(file, wholes, queries, len(songs))
    others = [[one.song for one in near if one.kind == "similar"] for near in found]
    tags = [read_tags(song) for song in songs]
    for what in ("artist", "album"):
        names = [spelling(getattr(said, what)) for said in tags]
        asked, right, chance = sharing(names, others)
        if asked:
            print(
                f"{asked} recordings of {what}s that have several: the nearest other recording is "
                f"of the same {what} in {right:.1%}, by chance {chance:.1%}",
                flush=True,
            )


def sharing(names: Sequence[str], others: Sequence[Sequence[int]]) -> tuple[int, float, float]:
    """(songs asked for, share whose nearest has the same name, the same of any other song).

    names: of each song, "" if unknown; others: places of the other songs, the nearest first.
    Songs without a name neither ask nor answer, and a name that no other song has is not asked for.
    """
    asked, right, chance = 0, 0, 0.0
    for name, near in zip(names, others, strict=True):
        known = [names[i] == name for i in near if names[i]]
        if name and any(known):
            asked, right, chance = asked + 1, right + known[0], chance + float(np.mean(known))
    return asked, right / max(1, asked), chance / max(1, asked)


def encodings(
    analyser: Analyser, songs: Sequence[Path], wholes: Sequence[Analysis], folder: Path
) -> None:
    """How far other encodings of a recording and other recordings are alike."""
    for suffix, options in ENCODINGS.items():
        others = [analyser.analyse(encode(song, folder / f"e.{suffix}", options)) for song in songs]
        alike = [
            likeness(a.fingerprint, b.fingerprint) for a, b in zip(wholes, others, strict=True)
        ]
        cosines = [float(a.embedding @ b.embedding) for a, b in zip(wholes, others, strict=True)]
        print(f"{suffix}: fingerprints alike by {min(alike):.2f}, embeddings by {min(cosines):.2f}")
    most = max(
        min(likeness(a.fingerprint, b.fingerprint), float(a.embedding @ b.embedding))
        for i, a in enumerate(wholes)
        for b in wholes[:i]
    )
    print(f"other recordings: both by {most:.2f} at most", flush=True)


def encode(song: Path, file: Path, options: Sequence[str] = ()) -> Path:
    """The song in the format of the file's suffix."""
    command = ["ffmpeg", "-y", "-loglevel", "quiet", "-i", str(song), *options, str(file)]
    subprocess.run(command, check=True)
    return file


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run(main)
