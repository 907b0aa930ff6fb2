"""How often a warning of the report is raised by models that deserve it, and by others.

python -m bench.warnings                    each warning on simulated tests, as a table

Every simulated model is known: its probabilities are right, or off by a known temperature; test and
folds are equally hard, or not; it knows something, or guesses; pictures are of training's kind, or
have moved. What is called is what writes the report. A song has one to three clips that share its
probabilities and its class, the worst case of clips that are alike.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.cli import DONE, config_from, make_parser, option, run
from train.evaluate.calibration import probabilities_of
from train.evaluate.domain_shift import distances, reference_of, shift
from train.evaluate.metrics import Scores, score
from train.evaluate.results import Results
from train.evaluate.shift_report import FAR_SHARE, FAR_SHIFT

N_CLASSES, N_FEATURES = 10, 64
TRUE_SCALE = 2.0  # standard deviation of logits whose softmax is exactly right: 55 % accuracy
OVERCONFIDENT = 0.4  # temperature that a model which deserves the warning divides by
HARDER = 25  # points by which the test is harder than the folds
MOVED = 0.5  # standard deviations by which every feature of the embeddings moves


@dataclass(frozen=True)
class WarningsConfig:
    """Simulation"""

    n_models: int = option(200, "simulated models of each kind")
    only: str = option("", "only warnings whose name has this text")
    seed: int = option(0, "seed of all random numbers")


def songs(rng: np.random.Generator, n_songs: int, n_clips: int, temperature: float) -> Scores:
    """The scores of n_songs of n_clips; the temperature is 1 where probabilities are right."""
    logits = TRUE_SCALE * rng.standard_normal((n_songs, N_CLASSES))
    labels = np.array([rng.choice(N_CLASSES, p=p) for p in probabilities_of(logits, 1.0)])
    told = np.repeat(probabilities_of(logits, temperature), n_clips, axis=0)
    return scored(told, np.repeat(labels, n_clips), np.repeat(np.arange(n_songs), n_clips))


def answered(rng: np.random.Generator, n_songs: int, accuracy: float) -> Scores:
    """The scores of n_songs, as many of each class, each answered rightly with this probability."""
    labels = np.arange(n_songs) % N_CLASSES  # as a stratified split has them
    other = (labels + rng.integers(1, N_CLASSES, n_songs)) % N_CLASSES
    answers = np.where(rng.random(n_songs) < accuracy, labels, other)
    told = np.full((n_songs, N_CLASSES), 0.01)
    told[np.arange(n_songs), answers] = 1 - 0.01 * (N_CLASSES - 1)
    return scored(told, labels, np.arange(n_songs))


def scored(told: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Scores:
    """The report's scores of probabilities (n, C)."""
    names = tuple(f"class {i}" for i in range(N_CLASSES))
    return score(told, labels, groups, classes=names, majority=0)


def off_calibration(n_songs: int, n_clips: int) -> Callable[[np.random.Generator, bool], bool]:
    """Are probabilities said to be off?"""
    return lambda rng, deserved: (
        songs(rng, n_songs, n_clips, OVERCONFIDENT if deserved else 1.0).off_calibration
    )


def parts_differ(n_songs: int) -> Callable[[np.random.Generator, bool], bool]:
    """Are test and folds, which have four times as many songs, said to differ?"""

    def raised(rng: np.random.Generator, deserved: bool) -> bool:
        test = answered(rng, n_songs, 0.8 - deserved * HARDER / 100)
        return Results(test, 1.0, validation=answered(rng, 4 * n_songs, 0.8)).parts_differ

    return raised


def no_better(n_songs: int) -> Callable[[np.random.Generator, bool], bool]:
    """Is it said that a model is not shown to beat always giving the same answer?"""

    def raised(rng: np.random.Generator, deserved: bool) -> bool:
        scores = answered(rng, n_songs, 1 / N_CLASSES if deserved else 0.5)
        return scores.accuracy_interval_95[0] <= scores.majority_baseline

    return raised


def moved(n_songs: int) -> Callable[[np.random.Generator, bool], bool]:
    """Are pictures, three of a song, said to be of another kind than 100 songs of training?"""

    def embedded(rng: np.random.Generator, n: int) -> np.ndarray:
        own = rng.standard_normal((n, 1, N_FEATURES))
        return (own + rng.standard_normal((n, 3, N_FEATURES))).reshape(3 * n, N_FEATURES)

    def raised(rng: np.random.Generator, deserved: bool) -> bool:
        reference = reference_of(embedded(rng, 100), np.repeat(np.arange(100), 3))
        assert reference is not None  # there are groups enough
        new = embedded(rng, n_songs) + deserved * MOVED * np.sqrt(2)
        share = (distances(new, reference) > reference.far).mean()
        return bool(share > FAR_SHARE or shift(new, reference, n_songs) > FAR_SHIFT)

    return raised


WARNINGS: dict[str, Callable[[np.random.Generator, bool], bool]] = {
    **{
        f"probabilities are off, {n} songs x {k} clips": off_calibration(n, k)
        for n, k in ((50, 1), (100, 1), (100, 3), (400, 1), (400, 3))
    },
    **{f"test and folds differ, {n} tested songs": parts_differ(n) for n in (50, 100, 200)},
    **{f"no better than one answer, {n} songs": no_better(n) for n in (20, 50, 100)},
    **{f"pictures of another kind, {n} songs": moved(n) for n in (10, 50, 200)},
}


def main() -> int:
    """Print, for each warning, how often it is raised where it is deserved and where not."""
    parser = make_parser("python -m bench.warnings", (__doc__ or "").strip(), WarningsConfig)
    config = config_from(parser.parse_args(), WarningsConfig)
    print("| warning | deserved | not deserved |\n|---|---|---|")
    for number, (name, raised) in enumerate(WARNINGS.items()):
        if config.only not in name:
            continue
        shares = []
        for deserved in (True, False):
            rng = np.random.default_rng([config.seed, number, deserved])
            shares.append(np.mean([raised(rng, deserved) for _ in range(config.n_models)]))
        print(f"| {name} | {shares[0]:.1%} | {shares[1]:.1%} |", flush=True)
    return DONE


if __name__ == "__main__":
    run(main)
