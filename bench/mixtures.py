"""Songs with several labels whose truth is known: two recordings of different classes at once.

python -m bench.mixtures RECORDINGS OUT [--seed 0]     RECORDINGS/<class>/<recording>
python main.py OUT --labels OUT/labels.csv

Each recording is in one pair. Of a pair there are three songs, one recording, the other, and both
together, at one level; all three are one group, so that no recording is on both sides.
"""

from pathlib import Path

import numpy as np
import soundfile

from common.cli import DONE, make_parser, run
from common.files import write_csv
from common.recordings import SEPARATOR
from render.audio.decode import decode_stream
from render.sources.folders import Recording, from_folders

SR = 22050
LEVEL = 0.05  # root mean square, of full scale 1
N_TRIED = 100_000
Pair = tuple[Recording, Recording]


def pairs_of(recordings: list[Recording], seed: int) -> list[Pair]:
    """Pairs of recordings of different classes, each in one; the same for the same seed."""
    rng = np.random.default_rng(seed)
    for _ in range(N_TRIED):
        drawn = [recordings[i] for i in rng.permutation(len(recordings))]
        pairs = list(zip(drawn[::2], drawn[1::2], strict=False))
        if all(one.label != other.label for one, other in pairs):
            return pairs
    raise ValueError("the recordings cannot be paired: most are of one class")


def levelled(y: np.ndarray) -> np.ndarray:
    """The signal at one level, so that it does not tell how many are heard."""
    level: np.ndarray = y * (LEVEL / max(float(np.sqrt(np.square(y).mean())), 1e-6))
    return level


def write_songs(pairs: list[Pair], out: Path) -> None:
    """Write the songs of every pair, and labels.csv: path, label, group."""
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, pair in enumerate(pairs):
        sounds = [levelled(np.concatenate(list(decode_stream(one.path, SR)))) for one in pair]
        n = min(map(len, sounds))
        first, second = (y[:n] for y in sounds)
        songs = {"a": (pair[:1], first), "b": (pair[1:], second), "c": (pair, first + second)}
        for letter, (of, y) in songs.items():
            name = f"pair{number:03d}-{letter}.flac"
            soundfile.write(out / name, np.clip(levelled(y), -1, 1), SR)
            rows.append((name, SEPARATOR.join(sorted(one.label for one in of)), f"pair {number}"))
    write_csv(out / "labels.csv", ("path", "label", "group"), rows)


def main() -> int:
    """Pair the recordings and write the songs."""
    parser = make_parser("python -m bench.mixtures", (__doc__ or "").strip())
    parser.add_argument("recordings", type=Path, help="folder of <class>/<recording>")
    parser.add_argument("out", type=Path, help="folder for the songs and labels.csv")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs")
    args = parser.parse_args()
    write_songs(pairs_of(from_folders(args.recordings), args.seed), args.out)
    print(f"songs and labels.csv: {args.out}")
    return DONE


if __name__ == "__main__":
    run(main)
