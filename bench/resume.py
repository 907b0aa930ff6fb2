"""Kill a training at random moments, resume it each time, compare it with an undisturbed one.

python -m bench.resume subsampled_data --kills 10

SIGKILL, at a time drawn evenly from those that the undisturbed run took, its start and its report
included. Bundled weights, 64x64 pictures, two folds: head, then two epochs of all layers, then the
refit, on the processor. Exit code 1 if any figure or any prediction differs.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from common.cli import (
    BAD_INPUT,
    DONE,
    NonNegativeInt,
    PositiveInt,
    config_from,
    make_parser,
    option,
    run,
)
from train.run_folder import interrupted

ROOT = Path(__file__).resolve().parent.parent
SMALL = "--image-size 64 --folds 2 --head-epochs 20 --finetune all --epochs 2 --accelerator cpu"


@dataclass(frozen=True)
class ResumeBench:
    """Measuring"""

    kills: PositiveInt = option(10, "how often the training is killed")
    seed: NonNegativeInt = option(0, "seed of the moments")


def main() -> int:
    """Say when each process was killed and whether the figures are the same."""
    parser = make_parser("python -m bench.resume", (__doc__ or "").strip(), ResumeBench)
    parser.add_argument("folder", type=Path, help="image folder")
    args = parser.parse_args()
    bench = config_from(args, ResumeBench)
    draw = random.Random(bench.seed)
    with tempfile.TemporaryDirectory() as out:
        start = ["--data", str(args.folder), *SMALL.split(), "--out"]
        began = time.perf_counter()
        train([*start, f"{out}/undisturbed"], None)
        seconds = time.perf_counter() - began
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        expected = facts(Path(out) / "undisturbed" / "latest")
        killed, same, kills = Path(out) / "killed" / "latest", True, 0
        while kills < bench.kills or interrupted(killed):
            arguments = (
                ["--resume", str(killed)] if interrupted(killed) else [*start, f"{out}/killed"]
            )
            after = draw.uniform(0, seconds) if kills < bench.kills else None
            if not train(arguments, after):
                kills += 1
                print(f"kill {kills} after {after:.1f} s: {standing(killed)}", flush=True)
            if killed.exists() and not interrupted(killed):  # the next begins anew
                same &= facts(killed) == expected
                print(
                    "a run has ended, its figures", "the same" if same else "DIFFERENT", flush=True
                )
    print("the figures are the same" if same else "the figures DIFFER")
    return DONE if same else BAD_INPUT


def train(arguments: list[str], after: float | None) -> bool:
    """Whether main.py ended by itself, before it was killed `after` so many seconds."""
    command = [sys.executable, str(ROOT / "main.py"), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, stderr = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    if process.returncode:
        raise ValueError(f"main.py ended with code {process.returncode}: {stderr.decode().strip()}")
    return True


def standing(folder: Path) -> str:
    """How far the run had come, by its files."""
    if not folder.exists():
        return "no run yet"
    files = sorted(path.name for path in (folder / "checkpoints").glob("*.*"))
    return ", ".join([*files, *(p.name for p in folder.glob("model.pth"))]) or "no checkpoint yet"


def facts(folder: Path) -> tuple[dict[str, object], str, str]:
    """All figures but the seconds, every prediction, and every epoch."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    metrics.pop("seconds")
    predictions, history = (
        (folder / name).read_text(encoding="utf-8") for name in ("predictions.csv", "history.csv")
    )
    return metrics, predictions, history


if __name__ == "__main__":
    run(main)
