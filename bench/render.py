"""How fast render is beside the usual way, on the same files in the same run.

    python bench/render.py AUDIO SEED_SCRIPT [--copies 10] [--mp3]

AUDIO holds <class>/<recording>; it is copied `--copies` times under other names into a temporary
folder, as mp3 at 44.1 kHz stereo with --mp3. SEED_SCRIPT is the reference: it is called with
AUDIO_DIR OUT_DIR on one core and prints "... N recordings/s". Ours is the whole command, start-up
counted; the reference counts no imports. "decoding only" is our decoder in one process.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
DECODE = """
import sys, time
from pathlib import Path
from render import audio
paths = sorted(Path(sys.argv[1]).glob("*/*"))
start = time.perf_counter()
for path in paths:
    for chunk in audio.decode_stream(path, 22050):
        pass
print(len(paths) / (time.perf_counter() - start), "recordings/s")
"""


def copies(audio: Path, folder: Path, count: int, mp3: bool) -> int:
    """Copy (or encode once, then copy) every recording `count` times; how many there are now."""
    paths = sorted(path for path in audio.glob("*/*") if path.is_file())
    for path in paths:
        target = folder / path.parent.name
        target.mkdir(parents=True, exist_ok=True)
        first = target / (f"{path.stem}_0.mp3" if mp3 else f"{path.stem}_0{path.suffix}")
        if mp3:
            command = ["ffmpeg", "-v", "error", "-i", path, "-ar", "44100", "-ac", "2", "-b:a"]
            subprocess.run([*command, "192k", first], check=True)
        else:
            shutil.copy(path, first)
        for i in range(1, count):
            shutil.copy(first, target / f"{path.stem}_{i}{first.suffix}")
    return count * len(paths)


def on_cores(command: list[str], cores: int) -> tuple[float, str]:
    """Run a command on the first `cores` cores; (wall seconds, what it printed)."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    return time.perf_counter() - start, done.stdout


def rate(text: str) -> float:
    """The figure before "recordings/s"."""
    match = re.search(r"([\d.]+) recordings/s", text)
    if match is None:
        raise ValueError(f"no figure in {text!r}")
    return float(match[1])


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio", type=Path)
    parser.add_argument("seed_script", type=Path)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--mp3", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        count = copies(args.audio, work / "audio", args.copies, args.mp3)
        python = sys.executable
        _, text = on_cores([python, "-c", DECODE, str(work / "audio")], 1)
        rates = {"decoding only, 1 core": rate(text)}
        for cores in (1, 2):
            out = str(work / f"ours{cores}")
            command = [python, "-m", "render", str(work / "audio"), "--out", out]
            seconds, _ = on_cores([*command, "--jobs", str(cores)], cores)
            rates[f"render, {cores} core{'s' * (cores > 1)}"] = count / seconds
        seed = str(args.seed_script.resolve())
        _, text = on_cores([python, seed, str(work / "audio"), str(work / "seed")], 1)
        reference = rate(text)
    print(
        f"{count} recordings{', mp3 44.1 kHz stereo' if args.mp3 else ''}, load {os.getloadavg()}"
    )
    print(f"{'the usual way, 1 core':24}{reference:8.1f} recordings/s     1.0 x")
    for name, value in rates.items():
        print(f"{name:24}{value:8.1f} recordings/s  {value / reference:6.1f} x")


if __name__ == "__main__":
    main()
