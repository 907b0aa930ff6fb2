"""A whole collection: its recordings are shared out to workers, its tables are written."""

from dataclasses import dataclass
from pathlib import Path

from render.audio.clips import ClipSettings
from render.output.clip_table import (
    remove_empty_folders,
    remove_leftovers,
    settle,
    sole_use,
)
from render.output.journal import Journal
from render.output.reconcile import reconcile
from render.parallel import Workers, run_all
from render.settings import RenderSettings
from render.sources.balance import clips_per_recording
from render.sources.folders import Recording
from render.worker import Job, render_recording


@dataclass(frozen=True)
class Failure:
    """A recording that was left out, or whose end was, and the reason."""

    source: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """What a run did.

    made: pictures written; unchanged: recordings that were complete before; kept: recordings of
    earlier runs that were not asked for this time; clips: pictures of each class in the folder.
    """

    recordings: int
    made: int
    unchanged: int
    kept: int
    failures: tuple[Failure, ...]
    clips: dict[str, int]


def render_folder(
    recordings: list[Recording],
    out: Path,
    settings: RenderSettings,
    clip_settings: ClipSettings,
    workers: Workers | None = None,
    prune: bool = False,
) -> Summary:
    """Render what is missing or has changed into the folder `out`, and write its tables.

    prune removes the pictures of recordings of earlier runs that are not among these.
    """
    with sole_use(out):
        settle(out, settings, clip_settings)
        remove_leftovers(out)
        return _render(recordings, out, settings, clip_settings, workers or Workers(), prune)


def _render(
    recordings: list[Recording],
    out: Path,
    settings: RenderSettings,
    clip_settings: ClipSettings,
    workers: Workers,
    prune: bool,
) -> Summary:
    counts = clips_per_recording(recordings, settings, clip_settings)
    failures: list[Failure] = []
    made = unchanged = 0
    with Journal(out) as journal:
        kept = reconcile(out, journal, recordings, prune)
        jobs = (
            Job(r, out.absolute(), settings, clip_settings, counts[r.source], journal.get(r.source))
            for r in recordings
        )
        for result in run_all(render_recording, jobs, len(recordings), workers):
            made += result.made
            if result.entry.reason:
                failures.append(Failure(result.entry.source, result.entry.reason))
            elif result.made == 0:
                unchanged += 1
            journal.add(result.entry)
        remove_leftovers(out)  # of workers that died; others have done their work again
        clips = journal.write_tables()
        remove_empty_folders(out, journal.labels)
    failures.sort(key=lambda failure: failure.source)
    by_class = dict(sorted(clips.items()))
    return Summary(len(recordings), made, unchanged, kept, tuple(failures), by_class)
