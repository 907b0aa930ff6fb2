"""Which duplicates the audit finds: in pictures, in the same drawn by others, and among many.

python -m bench.duplicates PICTURES --published SPLIT --redrawn DRAWN
    PICTURES/<class>/<picture> is drawn again as figures with margins in viridis (tests/drawings.py)
    into DRAWN where that is missing; SPLIT is a published split (path,label,split) whose authors
    listened to all and left out repetitions and faults, such as GTZAN's fault-filtered one
python -m bench.duplicates PICTURES --many 100000
    so many thumbnails mixed from those of PICTURES, a thousandth of them there twice: how many of
    these are found, and processor seconds and memory

A pair is right when the published split leaves out one of its two, as it does of repetitions.
"""

import argparse
import csv
import resource
import time
from collections import Counter
from pathlib import Path

import numpy as np

from common.cli import DONE, run
from common.files import open_csv
from data.audit.audit import audit
from data.audit.duplicates import Duplicate, Duplicates, find_duplicates
from data.examples import Examples
from data.image_folder import scan
from data.images.fingerprints import THUMBNAIL, Fingerprints, fingerprints
from tests.drawings import DRAWINGS, redraw

REDRAWN = "mel_margins"
TWICE = 1000  # one in so many thumbnails is there twice


def main() -> int:
    """Print what the docstring says."""
    parser = argparse.ArgumentParser("python -m bench.duplicates", description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--published", type=Path, help="a split without repetitions and faults")
    parser.add_argument("--redrawn", type=Path, help="folder for the pictures with margins")
    parser.add_argument("--many", type=int, help="number of thumbnails to compare")
    args = parser.parse_args()
    if args.many:
        print(*compare_many(args.pictures, args.many), sep="\n")
        return DONE
    found = audit(scan(args.pictures))
    print(*counts(found.duplicates, found.examples), sep="\n")
    if args.published:
        print(*against(found.duplicates, found.examples, args.published), sep="\n")
    if args.redrawn:
        for path in found.examples.paths.tolist():
            file = args.redrawn / path
            if not file.exists():
                redraw(args.pictures / path, file, DRAWINGS[REDRAWN])
        again = audit(scan(args.redrawn))
        print(f"drawn again as {REDRAWN}:", *again.drawing.notes(), sep="\n  ")
        print(*counts(again.duplicates, again.examples), sep="\n")
        before, after = (names(one.duplicates.pairs, one.examples) for one in (found, again))
        print(f"the same pairs in both: {len(before & after)}; only before: "
              f"{sorted(map(sorted, before - after))}; only now: "
              f"{sorted(map(sorted, after - before))}")  # fmt: skip
        if args.published:
            print(*against(again.duplicates, again.examples, args.published), sep="\n")
    return DONE


def counts(found: Duplicates, examples: Examples) -> list[str]:
    """How many pairs of each tier there are, and which are in two classes."""
    n_of = Counter(pair.tier for pair in found.pairs)
    crossing = [pair for pair in found.pairs
                if examples.labels[pair.first] != examples.labels[pair.second]]  # fmt: skip
    return [
        f"{len(examples)} pictures: {n_of['exact']} exact pairs, {n_of['near']} near, "
        f"{n_of['similar']} similar (threshold {found.threshold:.2f}); "
        f"{len(found.distrusted)} more not believed",
        *(
            f"in two classes: {examples.paths[pair.first]} and {examples.paths[pair.second]} "
            f"({pair.tier}, {pair.similarity:.2f})"
            for pair in crossing
        ),
    ]


def names(pairs: list[Duplicate], examples: Examples) -> set[frozenset[str]]:
    """The paths of each pair, without their suffixes."""
    stems = [str(Path(path).with_suffix("")) for path in examples.paths.tolist()]
    return {frozenset((stems[pair.first], stems[pair.second])) for pair in pairs}


def against(found: Duplicates, examples: Examples, published: Path) -> list[str]:
    """Precision of the pairs, and recall of the pictures that the published split leaves out."""
    with open_csv(published) as lines:
        kept = {row["path"] for row in csv.DictReader(lines)}
    left_out = {i for i, path in enumerate(examples.paths.tolist()) if path not in kept}
    right = [pair for pair in found.pairs if {pair.first, pair.second} & left_out]
    paired = {i for pair in found.pairs for i in pair[:2]}
    wrong = [f"{examples.paths[p.first]} and {examples.paths[p.second]} ({p.similarity:.2f})"
             for p in found.pairs if p not in right]  # fmt: skip
    return [
        f"right by {published.name}: {len(right)} of {len(found.pairs)} pairs",
        *(f"  it keeps both of {one}" for one in wrong),
        f"of the {len(left_out)} pictures that it leaves out, for faults of other kinds as well, "
        f"{len(left_out & paired)} are in a pair",
    ]


def compare_many(folder: Path, n: int) -> list[str]:
    """The cost of comparing n thumbnails, and how many of those that are there twice are found."""
    known, _ = fingerprints(scan(folder).files())
    thumbnails = mixed(known.thumbnails, n)
    n_twice = max(1, n // TWICE)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 2, (n_twice, *THUMBNAIL[::-1]))
    thumbnails[-n_twice:] = np.clip(thumbnails[:n_twice] + noise, 0, 255)
    digests = np.array([b"%d" % i for i in range(n)])
    prints = Fingerprints(digests, thumbnails, np.zeros(n, dtype=bool))
    before, started = time.process_time(), time.monotonic()
    pairs = find_duplicates(prints, np.arange(n).astype(str))
    spent, wall = time.process_time() - before, time.monotonic() - started
    twice = {(i, n - n_twice + i) for i in range(n_twice)}
    found = {(pair.first, pair.second) for pair in pairs}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [
        f"{n} thumbnails: {spent:.0f} s of processor time, {wall:.0f} s, {peak:.2f} GiB at most",
        f"{len(twice & found)} of {n_twice} that are there twice are found, and "
        f"{len(found - twice)} other pairs",
    ]


def mixed(thumbnails: np.ndarray, n: int) -> np.ndarray:
    """Thumbnails uint8 (n, H, W) of music that is not there: means of two others, moved in time."""
    rng = np.random.default_rng(0)
    out = np.empty((n, *thumbnails.shape[1:]), np.uint8)
    for i in range(n):
        first, second = thumbnails[rng.integers(len(thumbnails), size=2)]
        a, b = rng.integers(thumbnails.shape[2], size=2)
        out[i] = (np.roll(first, a, axis=1).astype(np.uint16) + np.roll(second, b, axis=1)) // 2
    return out


if __name__ == "__main__":
    run(main)
