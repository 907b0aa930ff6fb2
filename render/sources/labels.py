"""The sources of recordings and labels that the command offers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.cli import option
from render.sources.folders import Recording, audio_files, from_csv, from_folders, from_gtzan


@dataclass(frozen=True)
class SourceSettings:
    """Recordings and labels"""

    labels: str = option(
        "folders",
        "where the labels come from: folders, gtzan, fma (genres), country (of origin, from FMA's "
        "metadata), tags (the genres in the recordings' tags), playlists (M3U files below AUDIO, a "
        "class each) or a CSV file, whose songs may have several labels: rock;jazz",
    )
    several_labels: bool = option(
        False,
        "with --labels tags or playlists: a song has every genre of its tags, or every playlist "
        "that lists it, as a label, and not one class",
    )
    metadata: str | None = option(
        None, "the fma_metadata folder, for fma and country; the default is the one near AUDIO"
    )
    label_column: str = option("label", "column of the CSV file that holds the labels")
    subset: Literal["small", "medium", "large", "full"] | None = option(
        None, "subset of FMA to use; the default is every recording that is there"
    )
    keep_split: bool = option(
        False, "keep FMA's own split as a column of clips.csv, by which is then trained"
    )


@dataclass(frozen=True)
class Found:
    """The recordings below a folder. notes: lines that say what was left out, and why."""

    recordings: list[Recording]
    notes: tuple[str, ...] = ()


def find_recordings(root: Path, source: SourceSettings) -> Found:
    """The recordings below `root` with their labels. Raises ValueError when there are none."""
    if source.several_labels and source.labels not in ("tags", "playlists"):
        raise ValueError(
            f"--several-labels goes with --labels tags or playlists, not {source.labels}; in a CSV "
            "file write several labels as rock;jazz"
        )
    if source.labels == "folders":
        recordings = from_folders(root)
        n = len(audio_files(root)) - len(recordings)
        said = f"left out: {n} recording{'s' * (n > 1)} in no class folder"
        return Found(recordings, (said,) if n else ())
    if source.labels == "gtzan":
        return Found(from_gtzan(root))
    if source.labels in ("fma", "country"):
        return _from_fma(root, source)
    if source.labels in ("tags", "playlists"):
        from render.sources import own_labels

        read = own_labels.from_tags if source.labels == "tags" else own_labels.from_playlists
        recordings, left_out = read(root, several=source.several_labels)
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(left_out.items()))
        return Found(recordings, (f"left out: {reasons}",) if left_out else ())
    if Path(source.labels).suffix.lower() != ".csv":
        raise ValueError(
            f"--labels {source.labels}: expected folders, gtzan, fma, country, tags, playlists or "
            "FILE.csv"
        )
    return Found(from_csv(Path(source.labels), root, source.label_column))


def _from_fma(root: Path, source: SourceSettings) -> Found:
    from render.sources import fma

    metadata = Path(source.metadata) if source.metadata else fma.metadata_near(root)
    if source.labels == "fma":
        return Found(fma.from_genres(root, metadata, source.subset, source.keep_split))
    recordings, left_out = fma.from_countries(root, metadata, source.subset, source.keep_split)
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(left_out.items()))
    return Found(recordings, (f"left out: {reasons}",) if left_out else ())
