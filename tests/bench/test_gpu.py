"""bench.gpu, rehearsed on a processor: every check runs and says what it found."""

from pathlib import Path

import pytest

from bench.gpu import CHECKS
from tests.helpers import run_module

pytestmark = pytest.mark.slow  # whole commands, or as long as these


def test_every_check_passes_on_a_processor(stripes: Path) -> None:
    done = run_module("bench.gpu", "--accelerator", "cpu", "--small", "--data", stripes)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[0].removeprefix("| ") for row in rows[2:]] == list(CHECKS)
    assert "FAILED" not in done.stdout
    assert f"{len(CHECKS)} of {len(CHECKS)} checks passed" in done.stdout
