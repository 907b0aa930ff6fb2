"""A command of the project, watched: what it says, takes, starts and touches outside its folder.

In the process itself, by Python's audit events: python -m tests.fuzz.watched LOG FOLDER COMMAND...
"""

import json
import os
import re
import runpy
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import TimeoutExpired
from time import monotonic
from typing import Any

from tests.helpers import ROOT
from tests.warm import Command

MAX_SECONDS = 20.0  # beyond what the command takes for a good file
MAX_MEGABYTES = 1000.0  # above what the process had when it began
ALLOWED = {"ffmpeg", "ffprobe", "git"}  # the programs that may be started
STARTS = {"subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"}
# Events that change a file: the places of its path and of the folder that this is relative to.
CHANGES = {
    "os.remove": ((0, 1),), "os.rmdir": ((0, 1),), "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),), "os.symlink": ((1, 2),), "os.truncate": ((0, None),),
}  # fmt: skip


@dataclass
class Ended:
    """How a command ended. code: None if it was killed, as it took too long."""

    code: int | None
    said: str
    error: str
    seconds: float
    megabytes: float = 0.0
    programs: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)

    def harm(self) -> list[tuple[str, str]]:
        """(kind of harm, what of it) that was done, whatever it was asked."""
        found = []
        if "Traceback" in self.said + self.error or self.code not in (None, 0, 1, 2, 3):
            found.append(("traceback", f"code {self.code}: {self.error[-600:]}"))
        if self.code is None:
            found.append(("hang", f"killed after {self.seconds:.0f} s"))
        if self.megabytes > MAX_MEGABYTES:
            found.append(("memory", f"{self.megabytes:.0f} MB"))
        found += [("program", name) for name in self.programs]
        return found + [("outside", name) for name in self.touched]


def watch(
    words: Sequence[object], folder: Path, *, usual: float = 10.0, cwd: Path = ROOT, **env: str
) -> Ended:
    """Run a script or "-m module" with its arguments; `folder` holds all that it may change.

    usual: seconds that it takes for good input.
    """
    log = folder.parent / f"{folder.name}.watched"
    log.unlink(missing_ok=True)
    started = monotonic()
    command = Command(["-m", "tests.fuzz.watched", log, folder, cwd, *words],
                      env=os.environ | {"HF_HUB_OFFLINE": "1"} | env)  # fmt: skip
    try:
        done = command.finish(usual + MAX_SECONDS)
    except TimeoutExpired:
        return Ended(None, "", "", monotonic() - started, *_logged(log))
    return Ended(done.returncode, done.stdout, done.stderr, monotonic() - started, *_logged(log))


def _logged(log: Path) -> tuple[float, list[str], list[str]]:
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    found = {kind: [what for one, what in lines if one == kind] for kind in ("mb", "run", "write")}
    return max([0.0, *map(float, found["mb"])]), found["run"], found["write"]


def _memory(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1000


class _Watch:
    """Tells the log of programs that are started and of files changed outside the folder."""

    def __init__(self, log: str, folder: str) -> None:
        self._out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        places = (folder, log, tempfile.gettempdir())
        self._inside = (*map(os.path.realpath, places), "/dev/", "/proc/")
        self._silent = False

    def tell(self, kind: str, what: Any) -> None:
        """Write a line of the log."""
        os.write(self._out, (json.dumps([kind, what]) + "\n").encode())

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python's audit hook."""
        if self._silent:
            return
        self._silent = True
        if event in STARTS and Path(os.fsdecode(arguments[0])).name not in ALLOWED:
            self.tell("run", str(arguments[:2])[:200])
        elif event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            self._changed(arguments[0])
        for path, beside in CHANGES.get(event, ()):
            self._changed(arguments[path], -1 if beside is None else arguments[beside])
        self._silent = False

    def _changed(self, path: Any, folder: int = -1) -> None:
        if not isinstance(path, int):
            start = Path(f"/proc/self/fd/{folder}").readlink() if folder >= 0 else Path()
            real = os.path.realpath(start / os.fsdecode(path))
            if not real.startswith(self._inside):
                self.tell("write", real)


def main() -> None:
    """Run the command behind the log's and the folder's names, and log what it does."""
    log, folder, cwd, *words = sys.argv[1:]
    watching, base = _Watch(log, folder), _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory so far is forgotten
    os.chdir(cwd)
    sys.addaudithook(watching)
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [str(ROOT / words[0]), *words[1:]]
            runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        watching.tell("mb", _memory("VmHWM") - base)


if __name__ == "__main__":
    main()
