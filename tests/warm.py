"""Commands run in processes that are forked from one that has imported torch, timm and the like.

A command of the project is a process of its own here as for a person: its own arguments, folder,
environment, output and exit code. Only the six seconds of imports are spent once for all tests.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.warm_imports"])


class Command:
    """`python <command>`, which begins with a script's path or "-m", in a process of its own.

    stdin: a file that it reads as its standard input, instead of nothing.
    """

    def __init__(
        self,
        command: Sequence[object],
        *,
        cwd: Path = ROOT,
        env: Mapping[str, str] = os.environ,
        stdin: Path | None = None,
    ) -> None:
        self.words = [str(word) for word in command]
        self._folder = tempfile.TemporaryDirectory()
        self._outputs = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        for file in self._outputs:
            file.touch()
        self._process = _SERVER.Process(
            target=_run, args=(self.words, str(cwd), dict(env), self._outputs, stdin)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def until(self, line: str) -> None:
        """Wait for a whole line of its output that begins so."""
        while True:
            ended = not self._process.is_alive()  # asked before the output, which is then all of it
            said = self._outputs[0].read_text(encoding="utf-8")
            if any(whole.startswith(line) for whole in said.split("\n")[:-1]):
                return
            if ended:
                raise AssertionError(f"it ended without saying {line}: {self.finish().stderr}")
            time.sleep(0.005)

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def finish(self, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        """Wait for its end: its exit code and its whole output as text."""
        self._process.join(timeout)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
            raise subprocess.TimeoutExpired(self.words, timeout)
        out, err = (file.read_bytes().decode().replace("\r\n", "\n") for file in self._outputs)
        code = self._process.exitcode
        self._process.close()
        self._folder.cleanup()
        return subprocess.CompletedProcess(self.words, 0 if code is None else code, out, err)


def _run(
    words: list[str], cwd: str, env: dict[str, str], outputs: list[Path], stdin: Path | None
) -> None:
    """What the interpreter does for `python <words>`, in the process that was forked."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    if stdin:
        sys.stdin = stdin.open(encoding="utf-8")
    for number, file in enumerate(outputs, start=1):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.orig_argv = [sys.executable, *words]
    as_module = words[0] == "-m"
    sys.argv = words[1:] if as_module else words
    sys.path[0] = cwd if as_module else str(Path(words[0]).parent)
    try:
        if as_module:
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    finally:  # as at the end of an interpreter: pools are told to end, threads waited for
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
