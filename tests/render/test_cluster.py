"""--cluster: a real Dask scheduler and two worker processes, one of them killed in the middle."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.helpers import ROOT
from tests.render_helpers import collection, contents

pytest.importorskip("distributed", reason="dask[distributed] is not installed")
FLAGS = ("--clip-seconds", "1", "--n-fft", "512", "--n-mels", "32")


@pytest.fixture
def cluster(tmp_path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """(address, worker processes)."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    log = (tmp_path / "scheduler.log").open("wb")
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    scheduler = subprocess.Popen(
        [*dask, "--port", "0", "--no-dashboard"], stdout=log, stderr=log, cwd=tmp_path, env=env
    )
    address = ""
    for _ in range(200):
        match = re.search(r"tcp://127\.0\.0\.1:\d+", (tmp_path / "scheduler.log").read_text())
        if match:
            address = match[0]
            break
        time.sleep(0.1)
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
    worker += ["--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
    workers = [
        subprocess.Popen(worker, stdout=log, stderr=log, cwd=tmp_path, env=env) for _ in range(2)
    ]
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()
    log.close()


def test_a_killed_worker_loses_nothing(tmp_path, cluster):
    address, workers = cluster
    assert address, (tmp_path / "scheduler.log").read_text()
    audio = collection(tmp_path / "audio", {"a": 30, "b": 30}, seconds=30)
    command = [sys.executable, "-m", "render", str(audio), *FLAGS, "--out"]
    subprocess.run([*command, str(tmp_path / "one"), "--jobs", "1"], cwd=ROOT, check=True)
    run = subprocess.Popen([*command, str(tmp_path / "many"), "--cluster", address], cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "many").glob("*/*.png"))) < 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert run.poll() is None, "the run ended before a worker could be killed"
        workers[0].send_signal(signal.SIGKILL)
        assert run.wait(timeout=60) == 0
    finally:
        run.kill()
        run.wait()
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
