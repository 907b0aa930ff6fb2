"""Where the time goes, as a table: python -m bench.profile render|train|predict INPUT.

python -m bench.profile render music             functions of one core that renders class folders
python -m bench.profile train spectrograms       operations of one fold, head and fine-tuning
python -m bench.profile predict runs/latest/model.pth song.flac picture.png

Options of the command itself follow a bare --, as in: bench.profile train DIR -- --model resnet50
"""

import contextlib
import cProfile
import io
import pstats
import runpy
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.cli import DONE, PositiveInt, config_from, make_parser, option, run

ROOT = Path(__file__).resolve().parent.parent
TRAIN = "--folds 2 --head-epochs 20 --finetune all --epochs 1 --final best"


@dataclass(frozen=True)
class ProfileBench:
    """Table"""

    rows: PositiveInt = option(20, "how many functions or operations are listed")


def main() -> int:
    """Run a command within this process and print what took its time."""
    own, _, others = (list(part) for part in _split(sys.argv[1:]))
    parser = make_parser("python -m bench.profile", (__doc__ or "").strip(), ProfileBench)
    parser.add_argument("what", choices=["render", "train", "predict"], help="command to profile")
    parser.add_argument("inputs", nargs="+", help="its input: folders, a model file and files")
    args = parser.parse_args(own)
    rows = config_from(args, ProfileBench).rows
    with tempfile.TemporaryDirectory() as out:
        commands = {
            "render": ["-m", "render", *args.inputs, "--out", f"{out}/pictures", "--jobs", "1"],
            "train": ["main.py", "--data", *args.inputs, *TRAIN.split(), "--out", out],
            "predict": ["predict.py", *args.inputs],
        }
        command = [*commands[args.what], *others]
        measure = functions_of if args.what == "render" else operations_of
        start = time.perf_counter()
        lines = measure(lambda: run_here(command), rows)
    print(f"{' '.join(command)}: {time.perf_counter() - start:.1f} s", *lines, sep="\n")
    return DONE


def _split(arguments: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The arguments before and after a bare --."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at : at + 1], arguments[at + 1 :]


def run_here(command: list[str]) -> None:
    """Run a script or a module in this process, silently; ValueError if it fails."""
    said, before = io.StringIO(), sys.argv
    sys.argv = command[1:] if command[0] == "-m" else command
    try:
        with contextlib.redirect_stdout(said):
            if command[0] == "-m":
                runpy.run_module(command[1], run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(str(ROOT / command[0]), run_name="__main__")
    except SystemExit as end:
        if end.code not in (0, 3):
            raise ValueError(f"{' '.join(command)} ended with code {end.code}") from None
    finally:
        sys.argv = before


def functions_of(work: Callable[[], None], n: int) -> list[str]:
    """The n functions with the most time of their own, by Python's profiler."""
    profile = cProfile.Profile()
    profile.runcall(work)
    found = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in found.values())
    lines = [f"{'own s':>8}{'share':>8}{'calls':>10}  function"]
    for (file, line, name), (_, calls, own, _, _) in sorted(
        found.items(), key=lambda item: -item[1][2]
    )[:n]:
        where = f"{Path(file).name}:{line} {name}" if line else name
        lines.append(f"{own:8.2f}{own / total:8.1%}{calls:10d}  {where}")
    return lines


def operations_of(work: Callable[[], None], n: int) -> list[str]:
    """The n operations with the most time of their own, by torch's profiler."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as found:
        work()
    averages = sorted(found.key_averages(), key=lambda one: -one.self_cpu_time_total)
    total = sum(one.self_cpu_time_total for one in averages)
    lines = [f"{'own s':>8}{'share':>8}{'calls':>10}  operation"]
    for one in averages[:n]:
        own = one.self_cpu_time_total
        lines.append(f"{own / 1e6:8.2f}{own / total:8.1%}{one.count:10d}  {one.key}")
    return lines


if __name__ == "__main__":
    run(main)
