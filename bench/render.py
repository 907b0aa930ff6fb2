"""How fast render is beside the usual way, on the same files in the same run, and what it takes.

    python -m bench.render AUDIO SEED_SCRIPT [--copies 10] [--mp3]
    python -m bench.render AUDIO --stages
    python -m bench.render --long-hours 10

AUDIO holds <class>/<recording>; it is copied `--copies` times under other names into a temporary
folder, as mp3 at 44.1 kHz stereo with --mp3. SEED_SCRIPT is the reference: it is called with
AUDIO_DIR OUT_DIR on one core and prints "... N recordings/s". Ours is the whole command, start-up
counted; the reference counts no imports. Processor time and peak memory are those of the process
and its workers; "peak" is the largest of them.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.cli import DONE, PositiveFloat, PositiveInt, config_from, make_parser, option, run
from render import RenderSettings
from render.audio.decode import decode_stream
from render.audio.stream import windows
from render.output.reconcile import fingerprint
from render.spectrogram.image import picture, png_bytes
from render.spectrogram.spectra import Clip, mel

ROOT = Path(__file__).resolve().parent.parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class BenchConfig:
    """What is measured"""

    copies: PositiveInt = option(10, "number of copies of each recording")
    mp3: bool = option(False, "encode the recordings as mp3 first, 44.1 kHz stereo, 192 kbit/s")
    stages: bool = option(False, "print the processor time of each stage of rendering only")
    long_hours: PositiveFloat | None = option(
        None, "render one recording of so many hours, noise at 44.1 kHz, instead"
    )


@dataclass(frozen=True)
class Measured:
    """What a command took. cpu: seconds of all its processes; peak: MiB of its largest one."""

    seconds: float
    cpu: float
    peak: float
    stdout: str


def on_cores(command: list[str], cores: int) -> Measured:
    """Run a command on the first `cores` cores. Raises ValueError with its stderr if it fails."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)},
            stdout=stdout,
            stderr=stderr,
            preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        if process.returncode:
            raise ValueError(f"{command} failed: {stderr.read().decode()[-2000:]}")
        cpu = used.ru_utime + used.ru_stime
        return Measured(seconds, cpu, used.ru_maxrss / 1024, stdout.read().decode())


def copies(audio: Path, folder: Path, count: int, mp3: bool) -> int:
    """Copy (or encode once, then copy) every recording `count` times; how many there are now."""
    paths = sorted(path for path in audio.glob("*/*") if path.is_file())
    for path in paths:
        target = folder / path.parent.name
        target.mkdir(parents=True, exist_ok=True)
        first = target / (f"{path.stem}_0.mp3" if mp3 else f"{path.stem}_0{path.suffix}")
        if mp3:
            command = ["ffmpeg", "-v", "error", "-i", str(path), "-ar", "44100"]
            subprocess.run([*command, "-ac", "2", "-b:a", "192k", first], check=True)
        else:
            shutil.copy(path, first)
        for i in range(1, count):
            shutil.copy(first, target / f"{path.stem}_{i}{first.suffix}")
    return count * len(paths)


def rate(text: str) -> float:
    """The figure before "recordings/s"."""
    match = re.search(r"([\d.]+) recordings/s", text)
    if match is None:
        raise ValueError(f"no figure in {text!r}")
    return float(match[1])


def stages(audio: Path) -> None:
    """Print the processor time of each stage of rendering, per recording, in this one process."""
    s = RenderSettings()
    taken: dict[str, float] = {}
    marks = [time.process_time()]

    def lap(stage: str) -> None:
        marks.append(time.process_time())
        taken[stage] = taken.get(stage, 0.0) + marks[-1] - marks[-2]

    paths = sorted(path for path in audio.glob("*/*") if path.is_file())
    for number, path in enumerate([paths[0], *paths]):
        if number == 1:
            taken.clear()  # the first was for imports and filters
        fingerprint(path)
        lap("checksum of the file")
        clips = [
            y for _, _, y in windows(decode_stream(path, s.sr), s.clip_samples, s.clip_samples)
        ]
        lap("decoding")
        for y in clips:
            mel(Clip(np.resize(y, s.clip_samples), s), s.n_fft)
            lap("mel spectrum")
            image = picture(np.resize(y, s.clip_samples), s)
            lap("dB, levels")
            png_bytes(image)
            lap("PNG")
    taken["dB, levels"] -= taken["mel spectrum"]  # a picture computes its spectrum again
    for stage, seconds in taken.items():
        print(f"  {stage:22}{1000 * seconds / len(paths):8.2f} ms")


def compare(audio: Path, seed_script: Path, count: int, mp3: bool) -> None:
    """Measure the reference and ours on one core and on two, and print one table."""
    python = sys.executable
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        n = copies(audio, work / "audio", count, mp3)
        staged = on_cores([python, "-m", "bench.render", str(work / "audio"), "--stages"], 1)
        ours = {}
        for cores in (1, 2):
            command = [python, "-m", "render", str(work / "audio"), "--jobs", str(cores)]
            ours[cores] = on_cores([*command, "--out", str(work / f"ours{cores}")], cores)
        again = on_cores([*command, "--out", str(work / "ours2")], 2)
        seed = on_cores([python, str(seed_script), str(work / "audio"), str(work / "seed")], 1)
    usual = rate(seed.stdout)
    print(f"{n} recordings{', mp3 44.1 kHz stereo' if mp3 else ''}, load {os.getloadavg()}")
    print(f"{'cores':20}recordings/s        CPU per recording   peak of a process")
    print(f"{'the usual way on 1':20}{usual:8.1f}    1.0 x{_costs(seed, n)}")
    for cores, took in ours.items():
        ratio = f"{n / took.seconds:8.1f}  {n / took.seconds / usual:5.1f} x"
        print(f"{f'render on {cores}':20}{ratio}{_costs(took, n)}")
    efficiency = ours[1].seconds / ours[2].seconds / 2
    print(f"parallel efficiency on two cores: {100 * efficiency:.0f} %")
    print(f"a second run, which finds all done: {again.seconds:.1f} s")
    print("processor time of the stages per recording, of one process:")
    print(staged.stdout, end="")


def _costs(took: Measured, n: int) -> str:
    return f"{1000 * took.cpu / n:16.1f} ms{took.peak:16.0f} MiB"


def long(hours: float) -> None:
    """Render one recording of so many hours, noise at 44.1 kHz, and print what it took."""
    import soundfile

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "audio", "long", "long.wav")
        path.parent.mkdir(parents=True)
        minute = 0.1 * np.random.default_rng(0).standard_normal(60 * 44_100)
        # RF64, because WAV ends at 4 GiB
        with soundfile.SoundFile(path, "w", 44_100, 1, "PCM_16", format="RF64") as file:
            for _ in range(round(60 * hours)):
                file.write(minute)
        size = path.stat().st_size / 2**30
        command = [sys.executable, "-m", "render", str(path.parent.parent), "--jobs", "1"]
        took = on_cores([*command, "--out", str(Path(temporary, "out"))], 1)
        count = len(list(Path(temporary, "out").glob("*/*.png")))
    print(
        f"{hours:g} hours ({size:.2f} GiB): {count} pictures in {took.seconds:.0f} s, "
        f"peak {took.peak:.0f} MiB"
    )


def main() -> int:
    """Measure what the flags ask for."""
    parser = make_parser("python -m bench.render", __doc__ or "", BenchConfig)
    parser.add_argument("audio", nargs="?", help="folder of <class>/<recording>")
    parser.add_argument("seed_script", nargs="?", help="the reference")
    flags = parser.parse_args()
    config = config_from(flags, BenchConfig)
    if config.long_hours:
        long(config.long_hours)
    elif flags.audio and config.stages:
        stages(Path(flags.audio))
    elif flags.audio and flags.seed_script:
        compare(Path(flags.audio), Path(flags.seed_script).resolve(), config.copies, config.mp3)
    else:
        parser.error("AUDIO and SEED_SCRIPT, AUDIO and --stages, or --long-hours")
    return DONE


if __name__ == "__main__":
    run(main)
