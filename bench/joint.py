"""Whether the timeline of two recordings, one after the other, changes class where they meet.

    python -m bench.joint MUSIC --packages DEBS      # fills MUSIC, if it is not there
    python -m render MUSIC --out pictures --clips-per-recording 6 --fmax 10000
    python main.py --data pictures
    python -m bench.joint MUSIC --run runs/latest [--plots FOLDER]

MUSIC holds <class>/<recording>, and RUN was trained on pictures of them. Every recording of the
first class that lay in the test part is paired with every one of the second: 60 s from the middle
of each are joined, in either order by turns, and classified as predict.py --timeline does. The
music is that of the demo's Electronic and Orchestral packages, every piece of two minutes or more;
the package says the class. DEBS keeps the packages.
"""

import csv
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import soundfile

from common.cli import DONE, PositiveFloat, config_from, make_parser, option, run
from common.plots import save_figure
from common.recordings import recording_of
from inference.plot import ClipStrips, timeline_figure
from inference.prediction import ClipPrediction, Prediction
from predict import Predictor, load
from render.audio import decode
from subsampled_data.build import fetch, read_tracks

SR = 22_050
CLASSES = ("Electronic", "Orchestral")
LEAST_SECONDS = 120


@dataclass(frozen=True)
class JointBench:
    """Measuring"""

    packages: str = option(".", "folder for the demo's .deb files")
    run: str | None = option(None, "run folder with model.onnx and split.csv")
    seconds: PositiveFloat = option(60.0, "length of what is taken from each recording")
    plots: str | None = option(None, "folder for a figure of each pair")


def main() -> int:
    """Parse; fill the folder of music, or join and classify."""
    parser = make_parser("python -m bench.joint", (__doc__ or "").strip(), JointBench)
    parser.add_argument("music", type=Path, help="folder of <class>/<recording>")
    args = parser.parse_args()
    bench = config_from(args, JointBench)
    if not args.music.is_dir():
        fill(args.music, Path(bench.packages))
    if bench.run:
        folder, plots = Path(bench.run), Path(bench.plots) if bench.plots else None
        sounds = tested(folder / "split.csv", args.music, bench.seconds)
        join_all(load(folder / "model.onnx"), sounds, plots)
    return DONE


def fill(music: Path, packages: Path) -> None:
    """Unpack the music of the demo's packages of the two classes into music/<class>/."""
    packages.mkdir(parents=True, exist_ok=True)
    versions = {(t["label"], t["package"]): t["version"] for t in read_tracks()}
    for (label, package), version in versions.items():
        if label not in CLASSES:
            continue
        (music / label).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as made:
            deb = fetch(package, version, packages.absolute())
            subprocess.run(["dpkg", "-x", str(deb), made], check=True)
            for archive in Path(made).rglob("music.pk3"):
                zipfile.ZipFile(archive).extractall(archive.parent)
            folders = {"music", "cdtracks", "menu"}
            for file in sorted(Path(made).rglob("*")):
                if file.parent.name in folders and soundtrack(file):
                    shutil.copy(file, music / label / f"{package}-{file.stem}.ogg")
    print(f"{music}: {len(list(music.glob('*/*')))} recordings")


def soundtrack(file: Path) -> bool:
    """Whether it is a recording of two minutes or more."""
    try:
        return decode.probe(file).seconds >= LEAST_SECONDS
    except ValueError:
        return False


def tested(split: Path, music: Path, seconds: float) -> list[list[tuple[Path, np.ndarray]]]:
    """For each class (file, float32 (n,)): the middle of each recording of the test part."""
    with split.open(newline="", encoding="utf-8") as rows:
        test = {recording_of(r["path"]) for r in csv.DictReader(rows) if r["split"] == "test"}
    sounds: list[list[tuple[Path, np.ndarray]]] = []
    for folder in sorted(path for path in music.iterdir() if path.is_dir()):
        sounds.append([])
        for file in sorted(folder.iterdir()):
            if f"{folder.name}/{file.stem}" in test:
                y = np.concatenate(list(decode.decode_stream(file, SR)))
                n = min(len(y), round(seconds * SR))
                sounds[-1].append((file, y[(len(y) - n) // 2 :][:n]))
    if len(sounds) != 2 or not all(sounds):
        raise ValueError(f"{music}: expected two classes with recordings in the test of {split}")
    return sounds


def join_all(
    model: Predictor, sounds: list[list[tuple[Path, np.ndarray]]], plots: Path | None
) -> None:
    """Print a line per pair, and how many change class within a clip of the joint."""
    if model.facts.render is None:
        raise ValueError("the model's pictures were not made by python -m render")
    clip_seconds, n_held, n = model.facts.render.clip_seconds, 0, 0
    for n, pair in enumerate(product(*sounds), start=1):
        (a, before), (b, after) = pair if n % 2 else pair[::-1]
        with tempfile.TemporaryDirectory() as made:
            file = Path(made) / f"{a.stem} then {b.stem}.wav"
            soundfile.write(file, np.concatenate([before, after]), SR)
            clips = classify(model, file, plots)
        joint, first, second = len(before) / SR, a.parent.name, b.parent.name
        change = change_of_class(clips, first, second, joint)
        n_wrong = sum(clip.label != first for clip in clips if clip.end_s <= joint)
        n_wrong += sum(clip.label != second for clip in clips if clip.start_s >= joint)
        held = n_wrong < len(clips) / 4 and abs(change - joint) <= clip_seconds
        n_held += held
        print(
            f"{'yes' if held else 'no ':3s}  joint at {joint:.1f} s, changes at {change:5.1f} s, "
            f"{n_wrong:2d} of {len(clips)} clips wrong  {first}: {a.stem}  {second}: {b.stem}"
        )
    print(f"{n_held} of {n} change class within a clip, {clip_seconds:.0f} s, of the joint")


def classify(model: Predictor, file: Path, plots: Path | None) -> Sequence[ClipPrediction]:
    """The timeline of a recording, drawn into `plots` if that is given."""
    strips = ClipStrips()
    (answer,) = model.predict([str(file)], on_clip=strips.add)
    assert isinstance(answer, Prediction)
    if plots:
        plots.mkdir(parents=True, exist_ok=True)
        save_figure(timeline_figure(answer, strips), plots / f"{file.stem}.png")
    return answer.timeline


def change_of_class(
    clips: Sequence[ClipPrediction], first: str, second: str, joint: float
) -> float:
    """The second at which `first` best turns into `second`; of equals the furthest from the joint.

    It lies halfway between the middles of two clips. With it, the fewest clips before are not
    `first` and behind it not `second`.
    """
    middles = [0.0, *((clip.start_s + clip.end_s) / 2 for clip in clips), clips[-1].end_s]
    wrong = [
        sum(clip.label != first for clip in clips[:k])
        + sum(clip.label != second for clip in clips[k:])
        for k in range(len(clips) + 1)
    ]
    places = [(middles[k] + middles[k + 1]) / 2 for k, n in enumerate(wrong) if n == min(wrong)]
    return max(places, key=lambda place: abs(place - joint))


if __name__ == "__main__":
    run(main)
