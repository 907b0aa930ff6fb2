"""A whole collection: choose the recordings, share them out, write the tables."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from render.audio import decode as audio
from render.audio.clips import ClipSettings, all_starts, most_clips
from render.output import clip_table as table
from render.output.journal import Journal
from render.output.reconcile import reconcile
from render.settings import RenderSettings
from render.sources.folders import Recording
from render.worker import Job, render_recording


@dataclass(frozen=True)
class Summary:
    """What a run did. made: pictures written; unchanged: recordings that were done before;
    kept: recordings of earlier runs that were not asked for this time."""

    recordings: int
    made: int
    unchanged: int
    kept: int
    failures: list[tuple[str, str]]
    clips: dict[str, int]


def render_folder(
    recordings: list[Recording],
    out: Path,
    settings: RenderSettings,
    placing: ClipSettings,
    jobs: int = -1,
    cluster: str = "",
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda items, total: items,
    prune: bool = False,
) -> Summary:
    """Render what is missing or has changed into `out`, and write its tables.

    jobs: processes on this machine, -1 for one per core; cluster: address of a Dask scheduler,
    whose workers must see the same paths. progress wraps the results as they come, to show them.
    prune removes the pictures of recordings of earlier runs that are not among these.
    """
    table.settle(out, settings, placing)
    table.remove_leftovers(out)
    counts = clips_per_recording(recordings, settings, placing)
    failures: list[tuple[str, str]] = []
    made = unchanged = 0
    with Journal(out) as journal:
        kept = reconcile(out, journal, recordings, prune)
        work = (
            Job(r, out.absolute(), settings, placing, counts[r.source], journal.get(r.source))
            for r in recordings
        )
        for entry in progress(results(work, len(recordings), jobs, cluster), len(recordings)):
            n = entry.pop("made")
            made += n
            if entry["reason"]:
                failures.append((entry["source"], entry["reason"]))
            elif n == 0:
                unchanged += 1
            journal.add(entry)
        table.remove_leftovers(out)  # of workers that died; others have done their work again
        clips = journal.write_tables()
    by_class = dict(sorted(clips.items()))
    return Summary(len(recordings), made, unchanged, kept, sorted(failures), by_class)


def results(
    work: Iterable[Any],
    total: int,
    jobs: int,
    cluster: str,
    do: Callable[[Any], dict[str, Any]] = render_recording,
) -> Iterator[dict[str, Any]]:
    """What `do` makes of all `total` jobs, as they finish, in any order: the journal entries."""
    if not cluster and (jobs == 1 or total < 2):
        yield from map(do, work)
        return
    from joblib import Parallel, delayed

    with _backend(jobs, cluster):
        parallel = Parallel(return_as="generator_unordered", pre_dispatch="4*n_jobs")
        try:
            yield from parallel(delayed(do)(job) for job in work)
        except BrokenProcessPool:
            raise ValueError(
                "a worker process was killed, perhaps for want of memory. Nothing is lost: run "
                "again to go on, with fewer --jobs"
            ) from None


@contextmanager
def _backend(jobs: int, cluster: str) -> Iterator[None]:
    """joblib's backend: processes of one thread each, or the workers of a Dask cluster."""
    from joblib import parallel_config

    if not cluster:
        with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
            yield
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError('--cluster needs Dask: pip install "dask[distributed]"') from None
    with Client(cluster, timeout="10s") as client:
        # without this look, a scheduler that cannot import render lets the run wait for ever
        found = client.run(find_spec, "render") | {
            "the scheduler": client.run_on_scheduler(find_spec, "render")
        }
        lacking = [address for address, spec in found.items() if spec is None]
        if lacking or len(found) == 1:
            raise ValueError(
                f"{', '.join(lacking)} cannot import render; start it with this project's folder "
                "in PYTHONPATH"
                if lacking
                else f"the scheduler at {cluster} has no workers"
            )
        with parallel_config(backend="dask", n_jobs=-1):
            yield


def clips_per_recording(
    recordings: list[Recording], settings: RenderSettings, placing: ClipSettings
) -> dict[str, int]:
    """How many clips each recording gives, by source; 0 means all.

    With balance "clips", every class is to give as many clips as the largest gives: the rarer ones
    take more of each recording, as far as max_overlap lets them.
    """
    if placing.balance != "clips":
        return {r.source: placing.clips_per_recording for r in recordings}
    by_class: dict[str, dict[str, int]] = {}
    for r in recordings:
        by_class.setdefault(r.label, {})[r.source] = _room(r, settings, placing)
    base = placing.clips_per_recording
    plain = {
        label: sum(min(room, base) if base else _plain(room, placing) for room in rooms.values())
        for label, rooms in by_class.items()
    }
    counts: dict[str, int] = {}
    for rooms in by_class.values():
        counts |= share_out(max(plain.values()), rooms)
    return counts


def planned_clips(
    recordings: list[Recording], settings: RenderSettings, placing: ClipSettings
) -> Counter[str]:
    """Clips of each class that would be made, as far as the headers tell the truth."""
    counts = clips_per_recording(recordings, settings, placing)
    hop = max(1, round((placing.hop_seconds or settings.clip_seconds) * settings.sr))
    length, clips = settings.clip_samples, Counter[str]()
    for r in recordings:
        try:
            total = round(audio.probe(r.path).seconds * settings.sr)
        except (audio.DecodeError, OSError):
            continue
        if total < length and settings.short == "skip":
            continue
        n = min(counts[r.source], most_clips(total, length, placing.max_overlap))
        n = n or len(all_starts(total, length, hop))
        clips[r.label] += n * (1 + len(placing.augmentations))
    return clips


def share_out(target: int, rooms: dict[str, int]) -> dict[str, int]:
    """Split `target` clips over recordings as evenly as their rooms allow; at least one each."""
    counts = dict.fromkeys(rooms, 1)
    left = target - len(counts)
    open_to_more = sorted(rooms)
    while left > 0 and open_to_more:
        open_to_more = [source for source in open_to_more if counts[source] < rooms[source]]
        for source in open_to_more[:left]:
            counts[source] += 1
        left -= min(left, len(open_to_more))
    return counts


def _plain(room: int, placing: ClipSettings) -> int:
    """Clips that fit one after the other where `room` fit with max_overlap."""
    return max(1, int((room - 1) * (1 - placing.max_overlap)) + 1)


def _room(recording: Recording, settings: RenderSettings, placing: ClipSettings) -> int:
    try:
        seconds = audio.probe(recording.path).seconds
    except (audio.DecodeError, OSError):
        return 1  # its failure is recorded when it is rendered
    return most_clips(round(seconds * settings.sr), settings.clip_samples, placing.max_overlap)
