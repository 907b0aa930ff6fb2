"""What `python -m render` does once its flags are read; each function returns the exit code."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common.cli import DONE, SOME_LEFT_OUT, option
from common.text import printable
from render.audio.clips import ClipSettings
from render.parallel import Workers
from render.settings import RenderSettings
from render.sources.folders import Recording, named, notes_on_groups
from render.sources.labels import SourceSettings, find_recordings
from render.sources.own_labels import by_artist
from render.sources.selection import ChoiceSettings, choose

SHOWN = 10  # failures printed; failures.csv has them all


@dataclass(frozen=True)
class RunSettings:
    """Action and output"""

    out: str = option("spectrograms", "folder to write to")
    jobs: int = option(-1, "number of processes; -1 means one per core")
    cluster: str | None = option(
        None, "address of a Dask scheduler whose workers do the work, as tcp://10.0.0.1:8786"
    )
    prune: bool = option(
        False, "remove pictures of earlier runs whose recordings are missing or not asked for"
    )
    dry_run: bool = option(False, "print what would be rendered, and write nothing")
    check: str | None = option(
        None, "verify this rendered folder against its tables, and write nothing"
    )
    features: str | None = option(
        None, "write 57 features of each recording to this CSV file instead of rendering pictures"
    )
    preview: str | None = option(
        None, "draw the first clips of this recording with axes, and render nothing else"
    )


@dataclass(frozen=True)
class Request:
    """All that the flags say."""

    run: RunSettings
    source: SourceSettings
    choice: ChoiceSettings
    clips: ClipSettings
    settings: RenderSettings

    @property
    def workers(self) -> Workers:
        """Where the work is done."""
        return Workers(self.run.jobs, self.run.cluster)


def check(folder: Path) -> int:
    """Print the faults of a rendered folder. Raises ValueError when there are any."""
    from render.output.check import faults

    found = faults(folder)
    for fault in found[: 2 * SHOWN]:
        print(fault)
    if found:
        raise ValueError(f"{folder}: {len(found)} faults")
    print(f"{folder}: every picture agrees with the tables")
    return DONE


def preview(recording: Path, request: Request) -> int:
    """Draw the first clips of a recording."""
    from render.spectrogram.preview import preview

    print(preview(recording, request.settings, Path(request.run.out)))
    return DONE


def render(root: Path, request: Request) -> int:
    """Render, list or describe the recordings below `root`, as the request says."""
    if not root.is_dir():
        raise ValueError(f"no folder {root}; expected {root}/<class>/<recording>")
    if Path(request.run.out).resolve() == root.resolve():
        raise ValueError(f"--out {request.run.out} is the folder of the recordings; choose another")
    found = find_recordings(root, request.source)
    grouped, said = found.recordings, list(found.notes)
    if request.source.labels == "folders":
        grouped, notes = by_artist(grouped)
        said += notes
    for note in (*said, *notes_on_groups(grouped)):
        print(printable(note))
    clips = request.clips
    recordings = choose(list(named(grouped)), request.choice, clips.balance, clips.seed)
    if request.run.dry_run:
        return _dry_run(recordings, request)
    if request.run.features:
        return _features(recordings, Path(request.run.features), request)
    return _pictures(recordings, request)


def _pictures(recordings: list[Recording], request: Request) -> int:
    from render.collection import render_folder

    out = request.run.out
    summary = render_folder(
        recordings,
        Path(out),
        request.settings,
        request.clips,
        request.workers,
        request.run.prune,
    )
    width = max(map(len, summary.clips), default=0)
    for label, count in summary.clips.items():
        print(f"{label:{width}}  {count} clips")
    print(
        f"{out}: {summary.made} pictures rendered; {summary.unchanged} of {summary.recordings} "
        "recordings were complete already"
    )
    if summary.kept:
        print(
            f"recordings of earlier runs that are not among these: {summary.kept}; their pictures "
            "stay (--prune removes them)"
        )
    _print_failures((failure.source, failure.reason) for failure in summary.failures[:SHOWN])
    if summary.failures:
        print(f"{len(summary.failures)} recordings in {Path(out, 'failures.csv')}")
    return SOME_LEFT_OUT if summary.failures else DONE


def _features(recordings: list[Recording], file: Path, request: Request) -> int:
    from render.features import COLUMNS, write_features

    failures = write_features(recordings, file, request.settings, request.workers)
    print(f"{file}: {len(recordings) - len(failures)} recordings, {len(COLUMNS)} features")
    _print_failures(failures)
    return SOME_LEFT_OUT if failures else DONE


def _dry_run(recordings: list[Recording], request: Request) -> int:
    from render.sources.balance import planned_clips

    planned = planned_clips(recordings, request.settings, request.clips)
    counts = Counter(label for r in recordings for label in r.classes)
    clips = Counter[str]()
    for r in recordings:
        clips.update(dict.fromkeys(r.classes, planned.get(r.source, 0)))
    width = max(map(len, counts))
    for label in sorted(counts):
        print(f"{label:{width}}  {counts[label]} recordings  {clips[label]} clips")
    print(
        f"{sum(planned.values())} pictures of {request.settings.width} x {request.settings.height} "
        f"would be rendered from {len(recordings)} recordings"
    )
    return DONE


def _print_failures(failures: Iterable[tuple[str, str]]) -> None:
    for source, reason in failures:
        print(f"left out: {source}: {reason}")
