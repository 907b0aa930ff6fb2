"""Time from Enter to answer: whole processes of predict.py, and its rate beside the bare network's.

    python bench/predict.py RUN [--runs 5] [--pictures 1000]

RUN is a run folder whose pictures python -m render made. Prints medians of wall seconds of whole
processes, then pictures per second of a folder beside those of the network alone on the same
arrays. The song is 3 minutes of notes as mp3, written here; the pictures are the demo's.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))

from common.cli import PositiveInt, config_from, make_parser, option, run  # noqa: E402
from predict import Predictor, load  # noqa: E402  the project is found by then


@dataclass(frozen=True)
class PredictBench:
    """Measuring"""

    runs: PositiveInt = option(5, "processes of each kind")
    pictures: PositiveInt = option(1000, "pictures in the folder that is answered")


def main() -> int:
    """Parse, time, print."""
    parser = make_parser("python -m bench.predict", (__doc__ or "").strip(), PredictBench)
    parser.add_argument("run", type=Path, help="run folder with model.pth and model.onnx")
    args = parser.parse_args()
    bench = config_from(args, PredictBench)
    demo = sorted((HERE / "subsampled_data").rglob("*.png"))
    onnx, pth = args.run / "model.onnx", args.run / "model.pth"
    with tempfile.TemporaryDirectory() as made:
        song = write_song(Path(made) / "song.mp3", seconds=180)
        script = [sys.executable, HERE / "predict.py"]
        kinds = {
            "model.onnx, one PNG": [*script, onnx, demo[0]],
            "model.onnx, one 3-minute mp3": [*script, onnx, song],
            "model.pth, one PNG": [*script, pth, demo[0]],
            "import torch, timm": [sys.executable, "-c", "import torch, timm"],
        }
        times = whole_processes(kinds, bench.runs)
        for name, seconds in times.items():
            print(f"{name:30s} {statistics.median(seconds):6.2f} s  (least {min(seconds):.2f})")
        ratio = statistics.median(times["model.pth, one PNG"]) / statistics.median(
            times["import torch, timm"]
        )
        print(f"model.pth, one PNG, in units of importing torch and timm: {ratio:.2f}")
        folder = Path(made) / "pictures"
        folder.mkdir()
        for i in range(bench.pictures):
            shutil.copy(demo[i % len(demo)], folder / f"{i:05d}.png")
        files = [str(file) for file in sorted(folder.iterdir())]
        for file in (onnx, pth):
            print(rates(load(file), file.name, files))
    return 0


def write_song(file: Path, *, seconds: int, sr: int = 44_100) -> Path:
    """Write four notes a second, in stereo."""
    rng, t = np.random.default_rng(0), np.arange(sr // 4) / sr
    notes = [np.sin(2 * np.pi * rng.uniform(100, 2000) * t) for _ in range(4 * seconds)]
    y = 0.3 * np.concatenate(notes) + 0.01 * rng.standard_normal(len(t) * 4 * seconds)
    soundfile.write(file, np.stack([y, y], axis=1), sr)
    return file


def whole_processes(kinds: dict[str, list[object]], n_runs: int) -> dict[str, list[float]]:
    """Wall seconds of every process; the kinds take turns, and a first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in kinds}
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    for turn in range(n_runs + 1):
        for name, command in kinds.items():
            before = time.perf_counter()
            subprocess.run(
                list(map(str, command)), env=environment, stdout=subprocess.DEVNULL, check=True
            )
            if turn:
                times[name].append(time.perf_counter() - before)
    return times


def rates(model: Predictor, name: str, files: list[str]) -> str:
    """Pictures per second of a folder, and of the network on the same pictures in memory.

    The two take turns in pieces, so that another program's load falls on both.
    """
    batch = model.network.batch_size
    size = max(batch, len(files) // 4)
    pieces = [files[i : i + size] for i in range(0, len(files), size)]
    through = bare = 0.0
    list(model.predict(files[:batch]))
    for piece in pieces:
        arrays = np.stack([model.read(file) for file in piece])
        before = time.perf_counter()
        for i in range(0, len(arrays), batch):
            model.probabilities(arrays[i : i + batch])
        between = time.perf_counter()
        assert len(list(model.predict(piece))) == len(piece)
        bare, through = bare + between - before, through + time.perf_counter() - between
    n = len(files)
    return (
        f"{name}: {n / through:.1f} of {n / bare:.1f} pictures/s, {bare / through:.0%} "
        "of the bare network"
    )


if __name__ == "__main__":
    run(main)
