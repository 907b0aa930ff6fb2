"""How long a command says nothing, seen as a person sees it: through a terminal.

python -m bench.silence main.py --data subsampled_data      longest silences, and after which words
"""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from common.cli import DONE

ROOT = Path(__file__).resolve().parent.parent
CONTROL = re.compile(r"\x1b\[K")


@dataclass(frozen=True)
class Said:
    """What a command wrote to its terminal at one moment, in seconds from Enter."""

    seconds: float
    text: str


def watch(command: Sequence[str], env: dict[str, str] | None = None) -> tuple[int, list[Said]]:
    """(exit code, all that it writes, as it comes) of a command in a terminal of its own."""
    ours, theirs = pty.openpty()
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, close_fds=True
    )
    os.close(theirs)
    said: list[Said] = []
    while True:
        ready, _, _ = select.select([ours], [], [], 0.1)
        if ready:
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not data:
                break
            said.append(Said(time.monotonic() - started, data.decode(errors="replace")))
        elif process.poll() is not None:
            break
    os.close(ours)
    said.append(Said(time.monotonic() - started, ""))
    return process.wait(), said


def silences(said: Sequence[Said]) -> list[tuple[float, str]]:
    """(seconds, what was shown meanwhile) of each silence to the prompt, the longest first."""
    times, texts = [0.0, *(one.seconds for one in said)], ["", *(one.text for one in said)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    shown = [CONTROL.sub("", text).strip().rsplit("\n", 1)[-1] for text in texts]
    return sorted(zip(gaps, shown, strict=False), reverse=True)


def lines_left(said: Sequence[Said]) -> list[str]:
    """What stands on the screen at the end: each line after all that was drawn over it."""
    lines = "".join(one.text for one in said).replace("\r\n", "\n").split("\n")
    return [_shown(line) for line in lines]


def _shown(line: str) -> str:
    """One line of a terminal: a carriage return goes back, `ESC [K` erases to the end."""
    cells: list[str] = []
    at = 0
    for part in re.split(r"(\r|\x1b\[K)", line):
        if part == "\r":
            at = 0
        elif part == "\x1b[K":
            del cells[at:]
        else:
            cells[at : at + len(part)] = part
            at += len(part)
    return "".join(cells)


def main() -> int:
    """Run the command that is given and print its longest silence."""
    code, said = watch([sys.executable, *sys.argv[1:]])
    print(*lines_left(said), sep="\n")
    print(f"exit code {code} after {said[-1].seconds:.1f} s")
    for seconds, shown in silences(said)[:3]:
        print(f"silent for {seconds:.2f} s, after {shown!r}")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
