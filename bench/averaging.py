"""How a recording is best answered from its clips: three ways, on what the folds held out.

python -m bench.averaging RUN [RUN ...]     run folders of main.py, with clips of recordings

Only held-out clips of the folds count; the test part of a run is left alone. A vote is decided by
the mean of the probabilities where it is even.
"""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from common.cli import DONE, make_parser, run
from common.recordings import recording_of
from train.evaluate.calibration import expected_calibration_error
from train.evaluate.paired_test import paired_test

LEAST = 1e-6  # what predictions.csv rounds to 0


def mean(clips: np.ndarray) -> np.ndarray:
    """Mean (C,) of the probabilities (k, C) of k clips."""
    return clips.mean(axis=0)


def mean_log(clips: np.ndarray) -> np.ndarray:
    """Probabilities (C,) in proportion to the geometric mean of those of the clips."""
    shares = np.exp(np.log(np.maximum(clips, LEAST)).mean(axis=0))
    return shares / shares.sum()


def vote(clips: np.ndarray) -> np.ndarray:
    """Part (C,) of the clips that are for each class; the mean decides between equal ones."""
    votes = np.bincount(clips.argmax(axis=1), minlength=clips.shape[1]) / len(clips)
    shares = votes + LEAST * clips.mean(axis=0)
    return shares / shares.sum()


WAYS = {"mean of probabilities": mean, "mean of log-probabilities": mean_log, "vote": vote}


def main() -> int:
    """Print a table for each run."""
    parser = make_parser("python -m bench.averaging", (__doc__ or "").strip())
    parser.add_argument("runs", nargs="+", type=Path, help="run folders of main.py")
    for folder in parser.parse_args().runs:
        print(*table(folder), sep="\n")
    return DONE


def table(folder: Path) -> list[str]:
    """The lines on one run."""
    recordings, labels = held_out(folder / "predictions.csv")
    n_clips = [len(clips) for clips in recordings]
    alone = np.concatenate([c.argmax(axis=1) == y for c, y in zip(recordings, labels, strict=True)])
    lines = [
        f"{folder}: {len(labels)} recordings of {min(n_clips)} to {max(n_clips)} clips; a clip "
        f"alone is right {alone.mean():.3f} of the time",
        f"  {'way':27s} accuracy  log loss    ECE   against the mean of probabilities",
    ]
    usual = None
    for name, way in WAYS.items():
        shares = np.stack([way(clips) for clips in recordings])
        right = shares.argmax(axis=1) == labels
        loss = -np.log(np.maximum(shares[np.arange(len(labels)), labels], LEAST)).mean()
        error = expected_calibration_error(shares, labels)
        against = "" if usual is None else _against(right, usual)
        usual = right if usual is None else usual
        lines.append(f"  {name:27s} {right.mean():.3f}     {loss:.3f}     {error:.3f}   {against}")
    return lines


def _against(right: np.ndarray, usual: np.ndarray) -> str:
    gain, (low, high), p = paired_test(right, usual, np.arange(len(right)))
    return f"{100 * gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}, p = {p:.2f})"


def held_out(file: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """(probabilities (k, C) of the clips of each recording, its label) of the folds' held-out."""
    if not file.is_file():
        raise ValueError(f"no {file}: give a run folder of main.py")
    with file.open(newline="", encoding="utf-8") as opened:
        rows = csv.reader(opened)
        classes = next(rows)[5:]
        clips, truth = defaultdict(list), {}
        for path, label, _, part, _, *shares in rows:
            if part != "test":
                name = recording_of(path)
                clips[name].append([float(share) for share in shares])
                truth[name] = classes.index(label)
    if all(len(one) == 1 for one in clips.values()):
        raise ValueError(f"{file} has one clip of each recording: nothing is to be averaged")
    return [np.array(clips[name]) for name in clips], np.array([truth[name] for name in clips])


if __name__ == "__main__":
    run(main)
