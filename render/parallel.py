"""The same work for every recording, on the cores of this machine or on a Dask cluster."""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from common.progress import tracked

if TYPE_CHECKING:
    from distributed import Client

AHEAD = 3  # packs of jobs of each worker that are handed out before their results are taken
PACK_SECONDS = 0.05  # about what a pack takes: to hand one out and take it back costs half a ms
MOST_OF_A_PACK = 64
SET_PARENT_DEATH_SIGNAL = 1  # of Linux's prctl

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Workers:
    """Where the work is done.

    jobs: processes on this machine, -1 for one per core. cluster: address of a Dask scheduler to
    use instead; its workers must see the same paths.
    """

    jobs: int = -1
    cluster: str | None = None

    @property
    def n_processes(self) -> int:
        """Processes on this machine: -2 means all cores but one, and so on."""
        return self.jobs if self.jobs > 0 else max(1, n_cores() + 1 + self.jobs)


def n_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_all(
    do: Callable[[Job], Result], jobs: Iterable[Job], total: int, workers: Workers
) -> Iterator[Result]:
    """As `results_of`, while it is shown how many there are."""
    yield from tracked(results_of(do, jobs, total, workers), "drawing", total, "recordings")


def results_of(
    do: Callable[[Job], Result], jobs: Iterable[Job], total: int, workers: Workers
) -> Iterator[Result]:
    """What `do` returns for each of the `total` jobs, as they finish, in any order.

    After an error, what was handed out is finished, the rest is left, and the error is raised; it
    is a ValueError when a worker dies, or when those of a cluster cannot do the work.
    """
    if workers.cluster:
        executor = _on_cluster(workers.cluster, package=do.__module__.partition(".")[0])
    elif (n := min(workers.n_processes, total)) > 1:
        executor = _on_this_machine(n)
    else:
        yield from map(do, jobs)
        return
    with executor as (pool, n_workers):
        yield from _in_parallel(pool, n_workers, do, jobs)


def _in_parallel(
    pool: Executor, n_workers: int, do: Callable[[Job], Result], jobs: Iterable[Job]
) -> Iterator[Result]:
    """The results as they come; few packs are handed out ahead, however many jobs there are."""
    upcoming, size = iter(jobs), 1
    running: set[Future[_Done[Result]]] = set()
    failure: BaseException | None = None
    exhausted = False
    while not exhausted or running:
        while not exhausted and len(running) < AHEAD * n_workers:
            pack = list(islice(upcoming, size))
            exhausted = not pack
            running |= {pool.submit(_do_pack, do, pack)} if pack else set()
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            try:
                done = future.result()
            except BrokenProcessPool:
                raise ValueError(
                    "a worker process was killed, perhaps for want of memory. Nothing is lost: "
                    "run again to go on, with fewer --jobs"
                ) from None
            yield from done.results
            failure = failure or done.error
            exhausted = exhausted or failure is not None
            size = min(MOST_OF_A_PACK, max(1, round(PACK_SECONDS * done.n_per_second)))
    if failure:
        raise failure


@dataclass(frozen=True)
class _Done(Generic[Result]):
    """What became of a pack of jobs. error: what ended it before its time."""

    results: list[Result]
    n_per_second: float
    error: BaseException | None


def _do_pack(do: Callable[[Job], Result], pack: list[Job]) -> _Done[Result]:
    """Do some jobs one after another."""
    results: list[Result] = []
    error, start = None, time.perf_counter()
    try:
        for job in pack:
            results.append(do(job))
    except (OSError, ValueError) as one:
        error = one
    return _Done(results, len(pack) / (time.perf_counter() - start), error)


@contextmanager
def _on_this_machine(n: int) -> Iterator[tuple[Executor, int]]:
    """n processes of one thread each. On Linux they are forked: they need not import anything.

    Forking is safe here: the workers draw pictures, and take no lock but those that Python and
    the libraries hand over to a forked process.
    """
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    pool = ProcessPoolExecutor(n, context, initializer=_begin_worker, initargs=(os.getpid(),))
    try:
        yield pool, n
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker(parent: int) -> None:
    """Take one core, leave Ctrl-C to the parent, and end with it, even if that is killed."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed before
            os._exit(1)


@contextmanager
def _on_cluster(address: str, package: str) -> Iterator[tuple[Executor, int]]:
    """The workers of a Dask cluster. package: what these must be able to import."""
    try:
        from distributed import Client
    except ImportError:
        raise ValueError('--cluster needs Dask: pip install "dask[distributed]"') from None
    with Client(address, timeout="10s") as client:
        _check_cluster(client, address, package)
        with client.get_executor(pure=False) as pool:
            yield pool, sum(client.ncores().values())


def _check_cluster(client: "Client", address: str, package: str) -> None:
    """Raise ValueError when the cluster cannot do the work: it would otherwise wait for ever."""
    found = client.run(find_spec, package) | {
        "the scheduler": client.run_on_scheduler(find_spec, package)
    }
    lacking = [name for name, spec in found.items() if spec is None]
    if lacking:
        raise ValueError(
            f"{', '.join(lacking)} cannot import {package}; start it with this project's folder in "
            "PYTHONPATH"
        )
    if len(found) == 1:
        raise ValueError(f"the scheduler at {address} has no workers")
