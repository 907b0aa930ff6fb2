"""How long a folder of a million pictures takes to start once it is cached, and what it keeps.

python -m bench.cache EMPTY_DIR [--pictures 1000000]

Makes that many real files below EMPTY_DIR, hard links to 1,000 distinct PNGs of 16x16 in 1,000
class folders, and a cache beside them; scans and decodes them once, then again in a new process,
as a later run of main.py does, and prints the seconds of each step and the memory that is added.
What is made is removed at the end.
"""

import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common.cli import DONE, PositiveInt, config_from, make_parser, option, run

N_CLASSES = 1000
MIB = 2**20


@dataclass(frozen=True)
class CacheBench:
    """Measuring"""

    pictures: PositiveInt = option(1_000_000, "pictures to make")
    start: bool = option(False, "only start on a folder that is made, as the processes measured do")


def main() -> int:
    """Make the files, start twice, remove them."""
    parser = make_parser("python -m bench.cache", (__doc__ or "").strip(), CacheBench)
    parser.add_argument("folder", type=Path, help="new folder for pictures and cache")
    args = parser.parse_args()
    bench, folder = config_from(args, CacheBench), args.folder.resolve()
    if bench.start:
        start(folder)
        return DONE
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; give a new folder")
    print(f"load {os.getloadavg()}")
    try:
        timed("making the files", lambda: make(folder / "pictures", bench.pictures))
        for which in ("first", "later"):
            print(f"{which} start:", flush=True)
            command = [sys.executable, "-m", "bench.cache", str(folder), "--start"]
            subprocess.run(command, check=True, cwd=Path(__file__).parent.parent)
    finally:
        shutil.rmtree(folder / "pictures", ignore_errors=True)
        shutil.rmtree(folder / "cache", ignore_errors=True)
    return DONE


def make(folder: Path, n: int) -> None:
    """Write n pictures, folder/<class>/<recording>__<clip>.png, ten clips of each recording."""
    rng = np.random.default_rng(0)
    originals = folder.parent / "pictures" / ".originals"
    originals.mkdir(parents=True)
    n_classes = min(N_CLASSES, n // 20)
    for i in range(1000):
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(originals / f"{i}.png")
    for label in range(n_classes):
        (folder / f"class{label:03}").mkdir()
        for i in range(n // n_classes):
            name = f"class{label:03}/recording{label:03}{i // 10:04}__{i % 10:03}.png"
            os.link(originals / f"{i % 1000}.png", folder / name)


def start(folder: Path) -> None:
    """What main.py does before it splits: scan, and open or build the cache."""
    from data.cache.disk import cached_pictures
    from data.image_folder import scan

    before, all_before = memory("RssAnon:"), memory("VmRSS:")
    examples = timed("scan", lambda: scan(folder / "pictures"))
    decoded = timed(
        "cache",
        lambda: cached_pictures(
            examples.root, examples.paths, (16, 16), folder=folder / "cache", limit_gib=8
        ),
    )
    gc.collect()
    assert decoded.pixels is not None
    kept, most = memory("RssAnon:") - before, memory("VmHWM:") - all_before
    print(f"  {len(decoded)} pictures: {kept / MIB:.0f} MiB kept, {most / MIB:.0f} MiB at most")


def timed(what: str, function: Callable[[], Any]) -> Any:
    """What the function gives; its wall and processor seconds are printed."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = function()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"  {what:20s} {wall:7.1f} s, of the processor {cpu:7.1f} s", flush=True)
    return found


def memory(which: str) -> int:
    """Bytes of this process: RssAnon: its own now, VmRSS: with files it maps, VmHWM: their most."""
    fields = Path("/proc/self/status").read_text().split()
    return int(fields[fields.index(which) + 1]) * 1024


if __name__ == "__main__":
    run(main)
