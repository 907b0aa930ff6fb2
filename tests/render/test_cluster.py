"""--cluster: a real Dask scheduler and two worker processes, one of them killed in the middle."""

import signal
import subprocess
import sys
import time

import pytest

from tests.helpers import ROOT
from tests.render_helpers import collection, contents

pytest.importorskip("distributed", reason="dask[distributed] is not installed")

pytestmark = pytest.mark.slow  # whole commands, or as long as these
FLAGS = ("--clip-seconds", "1", "--n-fft", "512", "--n-mels", "32")


def test_a_killed_worker_loses_nothing(tmp_path, cluster):
    address, workers = cluster
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
