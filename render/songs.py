"""Songs to train on: they are drawn as pictures first, into spectrograms/<name of their folder>."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from common.cli import PositiveFloat, option
from common.recordings import PICTURES, SOUNDS, classes_further_down
from render.audio.clips import ClipSettings
from render.collection import render_folder
from render.command import Request, RunSettings, render
from render.output.clip_table import read_rows
from render.presets import PRESETS
from render.settings import RenderSettings
from render.sources.folders import Recording
from render.sources.labels import SourceSettings, find_recordings
from render.sources.selection import ChoiceSettings

N_LOOKED_AT = 2000  # files that tell what a folder holds: of a million pictures, these are enough


@dataclass(frozen=True)
class SongConfig:
    """Songs"""

    labels: str = option(
        "folders",
        "if DATA holds recordings, where their labels come from: folders, gtzan, fma (genres), "
        "country, tags (genres), playlists (M3U) or a CSV file, in which a song may have several "
        "labels: rock;jazz",
    )
    several_labels: bool = option(
        False,
        "with --labels tags or playlists: a song has every genre of its tags, or every playlist "
        "that lists it, as a label, and not one class",
    )
    preset: Literal["audioset", "none"] | None = option(
        None,
        "how recordings are drawn: audioset (what networks trained on AudioSet were given) or none "
        "(a mel spectrogram); the default is audioset where weights of such a network are at hand",
    )
    clip_seconds: PositiveFloat | None = option(
        None, "seconds of a recording in one picture; the default is 10"
    )


def holds_songs(root: Path) -> bool:
    """Whether a folder holds recordings and is not one of pictures.

    Pictures beside more recordings are covers; clips.csv tells a folder that render made.
    """
    if not root.is_dir() or (root / "clips.csv").is_file():
        return False
    recordings = pictures = 0
    for _, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        suffixes = [Path(name).suffix.lower() for name in files if name[0] != "."]
        recordings += sum(suffix in SOUNDS for suffix in suffixes)
        pictures += sum(suffix in PICTURES for suffix in suffixes)
        if recordings + pictures > N_LOOKED_AT:
            break
    return recordings > pictures


def check_songs(root: Path, songs: SongConfig) -> None:
    """Raise ValueError unless the songs below `root` are of two classes at least.

    Asked before hours of drawing, of labels that take no reading of the songs or of FMA's tables.
    """
    if songs.labels in ("tags", "playlists", "fma", "country"):
        return
    found = find_recordings(root, _source(songs)).recordings
    classes = {name for recording in found for name in recording.classes}
    if len(classes) < 2:
        raise ValueError(
            f"{root} has recordings of one class, {', '.join(classes)}; expected "
            f"{root}/<class>/<recording> with two classes at least"
            f"{classes_further_down(root, ''.join(classes))}"
        )


def _source(songs: SongConfig) -> SourceSettings:
    return SourceSettings(labels=songs.labels, several_labels=songs.several_labels)


def pictures_folder(root: Path) -> Path:
    """The folder that the songs below `root` are drawn into."""
    return Path("spectrograms") / root.resolve().name


def draw_songs(root: Path, songs: SongConfig, *, for_audio_network: bool) -> int:
    """Draw what is missing or has changed of the recordings below `root`; the exit code.

    for_audio_network: whether the network to be trained has heard sounds: then they are drawn as it
    was given them, unless the config says otherwise. Raises ValueError when there are no classes.
    """
    audioset = songs.preset == "audioset" or (songs.preset is None and for_audio_network)
    settings = PRESETS["audioset"] if audioset else RenderSettings()
    if songs.clip_seconds:
        settings = replace(settings, clip_seconds=songs.clip_seconds)
    out = pictures_folder(root)
    how = "as networks trained on AudioSet expect them" if audioset else "as mel spectrograms"
    print(f"{root} holds recordings: drawing them {how} into {out}", flush=True)
    run = RunSettings(out=str(out))
    return render(root, Request(run, _source(songs), ChoiceSettings(), ClipSettings(), settings))


def draw_some(
    songs: Mapping[str, tuple[Path, str]], settings: RenderSettings, out: Path
) -> tuple[dict[str, list[Path]], dict[str, str]]:
    """({name: pictures of a song}, {name: why it has none}); what is in `out` is not drawn again.

    songs: {name: (file, class)}, names as of files; other songs' pictures are removed from `out`.
    """
    recordings = [
        Recording(path, f"{name}{path.suffix}", label, group=name, name=name)
        for name, (path, label) in songs.items()
    ]
    done = render_folder(recordings, out, settings, ClipSettings(), prune=True)
    pictures: dict[str, list[Path]] = {}
    for row in read_rows(out / "clips.csv"):
        pictures.setdefault(row["recording"], []).append(out / row["path"])
    return pictures, {Path(f.source).stem: f.reason for f in done.failures}
