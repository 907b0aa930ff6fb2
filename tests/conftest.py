"""Fixtures that several test files share."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from tests import sounds
from tests.helpers import ROOT, SHORT, TINY, Run, run_script, write_stripes

# The same examples in every run, and no time limit for one of them: CI machines are shared.
settings.register_profile("spectrofold", deadline=None, derandomize=True)
settings.load_profile("spectrofold")

CLASSES = ("blues", "jazz", "rock")


def pytest_configure() -> None:
    """Give each of xdist's workers, and what it starts, its share of the cores.

    Two workers whose scripts take both cores each wait for one another: twice the time.
    """
    os.environ["SPECTROFOLD_PROGRESS"] = "0"  # its lines come and go with the machine's load
    # What a shell starts in the background ignores Ctrl-C, which tests send to what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files with the longest tests first, or one core would wait for the last of them."""
    files = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -files[item.path])  # stable: a file's tests stay together


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Scripts that tests run must not keep pictures in the home of who runs them.

    xdist's workers share the folder, below which each has one: a network is traced once for all.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    os.environ["SPECTROFOLD_CACHE"] = str(shared / "cache")


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """`spectrograms/` with 3 classes x 6 RGB PNGs of 32x24: 3 recordings each, 2 clips of each.

    A class is a bright band at its own height in faint noise, so that a classifier can learn it.
    """
    root = tmp_path / "spectrograms"
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for recording in range(3):
            for clip in range(2):
                pixels = rng.integers(0, 40, (24, 32, 3), dtype=np.uint8)
                pixels[8 * label : 8 * label + 8] += 200
                Image.fromarray(pixels).save(root / name / f"{name}{recording}__{clip}.png")
    return root


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`helpers.write_stripes`: three classes of 8 recordings x 2 clips."""
    return write_stripes(tmp_path_factory.mktemp("stripes") / "music")


@pytest.fixture(scope="session")
def trained(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`python main.py` on the stripes with a tiny network: its output and its run folder."""
    out = tmp_path_factory.mktemp("runs")
    done = run_script("main.py", "--data", stripes, "--out", out, *TINY, *SHORT)
    assert done.returncode == 0, done.stderr
    return Run(out / "latest", done.stdout)


@pytest.fixture(scope="session")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of `python -m render`, then `python main.py`, on `sounds.write_collection`.

    Beside its parent lie audio/ and spectrograms/.
    """
    root = tmp_path_factory.mktemp("heard")
    audio = sounds.write_collection(root / "audio")
    pictures, alike = root / "spectrograms", ("--duplicates", "ignore")  # notes are few
    command = [sys.executable, "-m", "render", audio, "--out", pictures, "--jobs", "1"]
    subprocess.run([*command, *sounds.RENDER], cwd=ROOT, check=True, capture_output=True)
    done = run_script(
        "main.py",
        "--data",
        pictures,
        "--out",
        root / "runs",
        *alike,
        *TINY,
        *SHORT,
        "--epochs",
        "5",
    )
    assert done.returncode == 0, done.stderr
    return (root / "runs/latest").resolve()


@pytest.fixture
def cluster(tmp_path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers of one thread each: (address, worker processes)."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    log = tmp_path / "dask.log"
    running: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        with log.open("ab") as out:
            running.append(
                subprocess.Popen(
                    [*command, "--no-dashboard", "--host", "127.0.0.1"],
                    stdout=out, stderr=out, cwd=tmp_path, env=env,
                )
            )  # fmt: skip

    def logged(pattern: str, n: int) -> str:
        """The last of n matches of a pattern in the log, once they are there."""
        for _ in range(600):
            if len(found := re.findall(pattern, log.read_text())) >= n:
                return str(found[-1])
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    try:
        start("dask_scheduler", "--port", "0")
        address = logged(r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)", 1)
        for _ in range(2):
            start("dask_worker", address, "--no-nanny", "--nthreads", "1")
        logged("Registered to:", 2)
        yield address, running[1:]
    finally:
        for process in running:
            process.kill()
            process.wait()
