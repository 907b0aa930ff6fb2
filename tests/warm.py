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
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.warm_imports"])


def run_command(
    command: Sequence[object],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] = os.environ,
    timeout: float = 300,
) -> "subprocess.CompletedProcess[str]":
    """`python <command>`, which begins with a script's path or "-m"; output as text."""
    words = [str(word) for word in command]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / name for name in ("stdout", "stderr")]
        process = _SERVER.Process(target=_run, args=(words, str(cwd), dict(env), outputs))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout)
        out, err = (file.read_bytes().decode().replace("\r\n", "\n") for file in outputs)
        code = process.exitcode
        process.close()
    return subprocess.CompletedProcess(words, 0 if code is None else code, out, err)


def _run(words: list[str], cwd: str, env: dict[str, str], outputs: list[Path]) -> None:
    """What the interpreter does for `python <words>`, in the process that was forked."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
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
