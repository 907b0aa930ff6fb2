"""What is freed stays with the process: fresh pages of the kernel's are what costs."""

import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from train.devices.malloc import SETTINGS, keep_freed_memory
kept = keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(2**23)  # 64 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(kept, faults())
"""


def kept_and_faults(**settings: str) -> tuple[bool, int]:
    from train.devices.malloc import SETTINGS

    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=plain | settings, check=True,
                          capture_output=True, text=True)  # fmt: skip
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is what is set")
def test_large_blocks_are_not_asked_for_anew() -> None:
    kept, faults = kept_and_faults()
    assert kept and faults < 1000  # 20 times 64 MiB are 327,680 pages of 4 KiB


def test_the_users_own_settings_win() -> None:
    kept, _ = kept_and_faults(MALLOC_TRIM_THRESHOLD_="1000000")
    assert not kept
