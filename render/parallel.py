"""The same work for every recording, on the cores of this machine or on a Dask cluster."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from common.progress import tracked

if TYPE_CHECKING:
    from distributed import Client

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


def run_all(
    do: Callable[[Job], Result], jobs: Iterable[Job], total: int, workers: Workers
) -> Iterator[Result]:
    """As `results_of`, while it is shown how many there are."""
    yield from tracked(results_of(do, jobs, total, workers), "drawing", total, "recordings")


def results_of(
    do: Callable[[Job], Result], jobs: Iterable[Job], total: int, workers: Workers
) -> Iterator[Result]:
    """What `do` returns for each of the `total` jobs, as they finish, in any order.

    Raises ValueError when a worker dies, or when those of a cluster cannot do the work.
    """
    if not workers.cluster and (workers.jobs == 1 or total < 2):
        yield from map(do, jobs)
        return
    with _backend(workers, package=do.__module__.partition(".")[0]):
        yield from _in_parallel(do, jobs)


def _in_parallel(do: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """joblib's results. After an error, what was handed out is finished and the rest is left.

    joblib itself would cancel it, with warnings and with tracebacks of its threads.
    """
    from joblib import Parallel, delayed

    failure: OSError | None = None
    stopped = False

    def remaining() -> Iterator[object]:
        for job in jobs:
            if stopped:
                return
            yield delayed(_result_or_error)(do, job)

    results = Parallel(return_as="generator_unordered", pre_dispatch="4*n_jobs")(remaining())
    try:
        for result in results:
            if isinstance(result, OSError):
                failure, stopped = failure or result, True
            else:
                yield result
    except GeneratorExit:  # whoever takes the results has failed
        stopped = True
        for _ in results:
            pass
        raise
    except BrokenProcessPool:
        raise ValueError(
            "a worker process was killed, perhaps for want of memory. Nothing is lost: run again "
            "to go on, with fewer --jobs"
        ) from None
    if failure:
        raise failure


def _result_or_error(do: Callable[[Job], Result], job: Job) -> Result | OSError:
    try:
        return do(job)
    except OSError as error:
        return error


@contextmanager
def _backend(workers: Workers, package: str) -> Iterator[None]:
    """joblib's backend: processes of one thread each, or the workers of a Dask cluster.

    package: what these must be able to import.
    """
    from joblib import parallel_config

    if not workers.cluster:
        with parallel_config(backend="loky", n_jobs=workers.jobs, inner_max_num_threads=1):
            yield
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError('--cluster needs Dask: pip install "dask[distributed]"') from None
    with Client(workers.cluster, timeout="10s") as client:
        _check_cluster(client, workers.cluster, package)
        with parallel_config(backend="dask", n_jobs=-1):
            yield


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
