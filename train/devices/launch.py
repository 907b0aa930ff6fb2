"""One process for each device, started and watched over by the one that was called."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import IO

from common.cli import BAD_INPUT, DONE, INTERRUPTED, SOME_LEFT_OUT
from common.progress import SWITCH

LOST = 75  # the exit code of a process that ends only because another one has
GRACE = 10.0  # seconds in which the others may end by themselves


def starts_here(n_devices: int, n_nodes: int) -> bool:
    """Whether this process is to start those that train, and is not one of them itself."""
    started = "LOCAL_RANK" in os.environ or "SLURM_PROCID" in os.environ
    return n_devices * n_nodes > 1 and not started


def start_all(n_devices: int, n_nodes: int) -> int:
    """Run this very command once for each device of this machine; returns its exit code.

    The first process has this terminal. When one fails, the others are ended, and what the failed
    one had to say is said once. Over several machines MASTER_ADDR, MASTER_PORT and NODE_RANK must
    be in the environment, as torch wants it, else ValueError.
    """
    missing = [n for n in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if n not in os.environ]
    if n_nodes > 1 and missing:
        raise ValueError(
            f"--nodes {n_nodes}: set {', '.join(missing)} on each machine, or start with torchrun"
        )
    shared = {"WORLD_SIZE": str(n_devices * n_nodes), "SPECTROFOLD_PARENT": str(os.getpid())}
    if n_nodes == 1:
        shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "NODE_RANK": "0"}
    processes: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(n_devices)]
        try:
            for rank in range(n_devices):
                processes.append(_start(rank, shared, said[rank]))
            _wait(processes)
        except KeyboardInterrupt:
            _end(processes, signal.SIGINT)
            return INTERRUPTED
        finally:
            _end(processes, signal.SIGTERM)
        return _verdict(processes, said)


def end_with_parent() -> None:
    """End this process when the one that started it is gone: nobody would stop it otherwise."""
    parent = os.environ.get("SPECTROFOLD_PARENT")
    if not parent:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(0.5)
        os._exit(LOST)

    threading.Thread(target=watch, daemon=True).start()


def _start(rank: int, shared: dict[str, str], said: IO[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *sys.orig_argv[1:]],
        env=os.environ | shared | {"LOCAL_RANK": str(rank)} | ({SWITCH: "0"} if rank else {}),
        stdout=subprocess.DEVNULL if rank else None,
        stderr=said if rank else None,
        start_new_session=True,  # Ctrl-C is passed on once, and not twice
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(processes: list[subprocess.Popen[bytes]]) -> None:
    """Until all have ended, or some time after the first failure."""
    until = float("inf")
    while any(process.poll() is None for process in processes) and time.monotonic() < until:
        if until == float("inf") and any(
            p.poll() not in (None, DONE, SOME_LEFT_OUT) for p in processes
        ):
            until = time.monotonic() + GRACE
        time.sleep(0.05)


def _end(processes: list[subprocess.Popen[bytes]], gently: signal.Signals) -> None:
    """Ask those that still run to end, and end them if they do not."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.send_signal(gently)
    until = time.monotonic() + GRACE
    for process in running:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _verdict(processes: list[subprocess.Popen[bytes]], said: Sequence[IO[str]]) -> int:
    """The exit code of the run; says what a failed process said, unless it did so itself."""
    codes = [process.returncode for process in processes]
    failed = [rank for rank, code in enumerate(codes) if code not in (DONE, SOME_LEFT_OUT)]
    if not failed:
        return codes[0]
    ended = (LOST, -signal.SIGTERM)
    rank = next((rank for rank in failed if codes[rank] not in ended), failed[-1])
    said[rank].seek(0)
    words = said[rank].read().strip()
    if codes[rank] < 0:
        words = f"error: process {rank + 1} of {len(codes)} was ended by signal {-codes[rank]}"
    if rank > 0 or codes[rank] < 0:
        print(words, file=sys.stderr)
    return codes[rank] if codes[rank] > 0 and codes[rank] != LOST else BAD_INPUT
