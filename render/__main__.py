"""Spectrogram pictures of a music collection, in one folder per class.

    python -m render AUDIO --out spectrograms

AUDIO holds <class>/<recording>; other sources of labels with --labels.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.cli import DONE, SOME_LEFT_OUT, config_from, make_parser, option, run
from render.audio.clips import ClipSettings
from render.presets import PRESETS, arguments_of
from render.settings import RenderSettings
from render.sources.selection import ChoiceSettings

if TYPE_CHECKING:
    from common.cli import Parser
    from render.sources.folders import Recording


@dataclass(frozen=True)
class SourceSettings:
    """Where sounds and labels come from"""

    labels: str = option(
        "folders", "folders, gtzan, fma (genres), country (of origin, from FMA) or a CSV file"
    )
    metadata: str = option("", "fma_metadata folder, for fma and country")
    label_column: str = option("label", "the CSV's column of labels")
    subset: str = option("", "of FMA: small, medium, large or full; nothing means what is there")
    keep_split: bool = option(False, "keep FMA's own split as a column of clips.csv")


@dataclass(frozen=True)
class RunSettings:
    """What to do"""

    out: str = option("spectrograms", "folder to write to")
    jobs: int = option(-1, "processes; -1 means one per core")
    cluster: str = option("", "Dask scheduler to use instead, as tcp://10.0.0.1:8786")
    prune: bool = option(
        False, "remove pictures of earlier runs whose recordings are not there or not asked for"
    )
    dry_run: bool = option(False, "say what would be made, and make nothing")
    check: str = option("", "verify this finished folder against its tables, and make nothing")
    features: str = option(
        "", "write a CSV of 57 features of each recording to this file, and make no pictures"
    )
    preview: str = option("", "draw this recording with axes to look at, and make nothing else")


def main() -> int:
    """Read the flags, do what they say; returns the exit code."""
    parser = make_parser(
        "python -m render", __doc__ or "", RunSettings, SourceSettings, ChoiceSettings,
        ClipSettings, RenderSettings,
    )  # fmt: skip
    parser.add_argument("audio", nargs="?", default="", help="folder of recordings")
    parser.add_argument(
        "--preset", choices=sorted(PRESETS),
        help="the pictures that networks of this kind were trained on, instead of the defaults of "
        "these options; others that you give win",
    )  # fmt: skip
    flags = parser.parse_args(with_preset(parser, sys.argv[1:]))
    todo, settings = config_from(flags, RunSettings), config_from(flags, RenderSettings)
    placing = config_from(flags, ClipSettings)
    source, choice = config_from(flags, SourceSettings), config_from(flags, ChoiceSettings)
    if todo.check:
        return _check(Path(todo.check))
    if todo.preview:
        from render.spectrogram.preview import preview

        print(preview(Path(todo.preview), settings, Path(todo.out)))
        return DONE
    if not flags.audio:
        parser.error("AUDIO is missing: the folder of recordings")
    return _render(Path(flags.audio), todo, source, choice, settings, placing)


def with_preset(parser: "Parser", arguments: list[str]) -> list[str]:
    """The arguments, with the options of a preset before all others, so that those given win."""
    preset = parser.parse_args(arguments).preset
    return [*arguments_of(preset), *arguments] if preset else arguments


def _render(
    root: Path,
    todo: RunSettings,
    source: SourceSettings,
    choice: ChoiceSettings,
    settings: RenderSettings,
    placing: ClipSettings,
) -> int:
    from render.collection import render_folder
    from render.sources.folders import named
    from render.sources.selection import choose

    if not root.is_dir():
        raise ValueError(f"no folder {root}; expected {root}/<class>/<recording>")
    if Path(todo.out).resolve() == root.resolve():
        raise ValueError(f"--out {todo.out} is the folder of the recordings; choose another")
    found = list(named(find(root, source)))
    recordings = choose(found, choice, placing.balance, placing.seed)
    if todo.dry_run:
        return _dry_run(recordings, settings, placing)
    if todo.features:
        return _features(recordings, todo, settings)
    summary = render_folder(
        recordings, Path(todo.out), settings, placing, todo.jobs, todo.cluster, _with_progress,
        todo.prune,
    )  # fmt: skip
    width = max(map(len, summary.clips), default=0)
    for label, count in summary.clips.items():
        print(f"{label:{width}}  {count} clips")
    print(
        f"{todo.out}: {summary.made} pictures made, {summary.unchanged} of {summary.recordings} "
        f"recordings were done before"
    )
    if summary.kept:
        print(
            f"recordings of earlier runs that are not among these: {summary.kept}; their pictures "
            "stay (--prune removes them)"
        )
    for name, reason in summary.failures[:10]:
        print(f"left out: {name}: {reason}")
    if summary.failures:
        print(f"{len(summary.failures)} recordings in {Path(todo.out, 'failures.csv')}")
    return SOME_LEFT_OUT if summary.failures else DONE


def _features(recordings: "list[Recording]", todo: RunSettings, settings: RenderSettings) -> int:
    from render.features import COLUMNS, write_features

    file = Path(todo.features)
    failures = write_features(recordings, file, settings, todo.jobs, todo.cluster, _with_progress)
    n = len(recordings) - len(failures)
    print(f"{file}: {n} recordings, {len(COLUMNS)} features")
    for name, reason in failures:
        print(f"left out: {name}: {reason}")
    return SOME_LEFT_OUT if failures else DONE


def find(root: Path, source: SourceSettings) -> "list[Recording]":
    """The recordings below `root` with their labels."""
    from render.sources import folders as recordings

    if source.labels == "folders":
        return recordings.from_folders(root)
    if source.labels == "gtzan":
        return recordings.from_gtzan(root)
    if source.labels in ("fma", "country"):
        from render.sources import fma

        metadata = Path(source.metadata) if source.metadata else fma.metadata_near(root)
        if source.labels == "fma":
            return fma.from_genres(root, metadata, source.subset, source.keep_split)
        found, left_out = fma.from_countries(root, metadata, source.subset, source.keep_split)
        print("left out: " + ", ".join(f"{n} {reason}" for reason, n in sorted(left_out.items())))
        return found
    if Path(source.labels).suffix.lower() != ".csv":
        raise ValueError(
            f"--labels {source.labels}: expected folders, gtzan, fma, country or FILE.csv"
        )
    if not Path(source.labels).is_file():
        raise ValueError(f"no file {source.labels}")
    return recordings.from_csv(Path(source.labels), root, source.label_column)


def _dry_run(recordings: "list[Recording]", settings: RenderSettings, placing: ClipSettings) -> int:
    from render.collection import planned_clips

    clips = planned_clips(recordings, settings, placing)
    counts = Counter(r.label for r in recordings)
    width = max(map(len, counts))
    for label in sorted(counts):
        print(f"{label:{width}}  {counts[label]} recordings  {clips[label]} clips")
    print(
        f"{sum(clips.values())} pictures of {settings.width} x {settings.height} would be made "
        f"from {len(recordings)} recordings"
    )
    return DONE


def _check(folder: Path) -> int:
    from render.output.check import faults

    found = faults(folder)
    for fault in found[:20]:
        print(fault)
    if found:
        raise ValueError(f"{folder}: {len(found)} faults")
    print(f"{folder}: every picture agrees with the tables")
    return DONE


def _with_progress(items: Iterable[Any], total: int) -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(items, total=total, unit="recording", disable=None)


if __name__ == "__main__":
    run(main)
