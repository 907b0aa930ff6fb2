"""Make the demo's pictures anew from free music in Debian packages.

    python -m subsampled_data.build [--packages FOLDER] [--out subsampled_data]

Reads tracks.csv; fetches its packages with `apt-get download` (Debian 12 with `deb` lines, about
680 MB; with --packages, what lies in FOLDER is not fetched again), unpacks them in a temporary
folder, brings every track to one level and one bandwidth, renders 3 clips of 10 s of each, and
writes the pictures, clips.csv, render.json and SOURCES.md. No sound is kept. The same packages and
the same versions of the decoders give the same pixels. Needs ffmpeg with libopenmpt.
"""

import csv
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from common.cli import DONE, config_from, make_parser, option, run
from common.files import write_csv, write_text
from render import RenderSettings
from render.audio.clips import ClipSettings
from render.audio.decode import decode_stream
from render.collection import render_folder
from render.output.clip_table import COLUMNS, read_rows
from render.sources.folders import Recording, named, recording_name

HERE = Path(__file__).parent
# Codecs end the spectrum at different heights, the lowest of these tracks at 12 kHz: above fmax
# nothing is shown, so that the format does not tell the class.
SETTINGS = RenderSettings(fmax=10_000.0)
CLIPS = ClipSettings(clips_per_recording=3)
LEVEL = 0.1  # root mean square of every track, full scale 1

Track = dict[str, str]


@dataclass(frozen=True)
class BuildSettings:
    """Demo data"""

    packages: str | None = option(
        None, "folder of .deb files to use and to fill; the default is a temporary one"
    )
    out: str = option(str(HERE), "folder to write to")


def read_tracks(path: Path = HERE / "tracks.csv") -> list[Track]:
    """The rows of tracks.csv, each with the name that its pictures bear."""
    with path.open(newline="", encoding="utf-8") as file:
        tracks = list(csv.DictReader(file))
    for track in tracks:
        inner = Path(track["path_in_package"].split("!")[-1])
        # Frets on Fire names every song song.ogg: there the folder tells them apart
        stem = inner.parent.name if inner.stem == "song" else inner.stem
        package = track["package"].removesuffix("-data").split("-songs-")[0]
        track["name"] = recording_name(f"{package}-{stem}".replace(" ", "_"))
    return tracks


def fetch(package: str, version: str, folder: Path) -> Path:
    """The package's .deb in `folder`, downloaded when it is not there."""
    pattern = f"{package}_{version.replace(':', '%3a')}_*.deb"
    if not list(folder.glob(pattern)):
        subprocess.run(
            ["apt-get", "download", f"{package}={version}"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    found = list(folder.glob(pattern))
    if not found:
        raise ValueError(f"apt-get download {package}={version} gave no {pattern}")
    return found[0]


def locate(track: Track, unpacked: Path) -> list[Path]:
    """The track's files in the unpacked package: one, or the stems that make up the song.

    `archive.pk3!member` is a member of a zip, which is extracted beside the archive.
    """
    outer, _, member = track["path_in_package"].partition("!")
    path = unpacked / outer
    if member:
        with zipfile.ZipFile(path) as archive:
            path = Path(archive.extract(member, path.parent / "members"))
    guitar = path.with_name("guitar.ogg")
    return [path, guitar] if path.name == "song.ogg" and guitar.is_file() else [path]


def level(stems: list[np.ndarray]) -> np.ndarray:
    """The sum of the stems, float32 (n,), scaled to LEVEL."""
    y = np.zeros(max(map(len, stems)), dtype=np.float32)
    for stem in stems:
        y[: len(stem)] += stem
    rms = float(np.sqrt(np.mean(y.astype(np.float64) ** 2)))
    if rms == 0:
        raise ValueError("the track holds only silence")
    return y * np.float32(LEVEL / rms)


def collect(tracks: list[Track], packages: Path, work: Path) -> list[Recording]:
    """Fetch, unpack, decode and level every track: float WAV files in `work`/<label>/."""
    recordings = []
    for number, track in enumerate(tracks, 1):
        print(f"{number}/{len(tracks)} {track['name']}", file=sys.stderr)
        unpacked = work / "unpacked" / track["package"]
        if not unpacked.is_dir():
            deb = fetch(track["package"], track["version"], packages)
            unpacked.parent.mkdir(exist_ok=True)
            subprocess.run(["dpkg", "-x", str(deb), str(unpacked)], check=True)
        stems = [
            np.concatenate(list(decode_stream(path, SETTINGS.sr)))
            for path in locate(track, unpacked)
        ]
        source = f"{track['label']}/{track['name']}.wav"
        path = work / source
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, level(stems), SETTINGS.sr, subtype="FLOAT")
        recordings.append(Recording(path, source, track["label"]))
    return list(named(recordings))


def publish(tracks: list[Track], rendered: Path, out: Path) -> None:
    """Copy the rendered folder to `out` with the tracks' facts in its tables, replacing the old."""
    for label in sorted({track["label"] for track in tracks}):
        shutil.rmtree(out / label, ignore_errors=True)
        shutil.copytree(rendered / label, out / label)
    shutil.copy(rendered / "render.json", out / "render.json")
    by_name = {track["name"]: track for track in tracks}
    columns = [*COLUMNS, "artist"]
    rows: list[list[str]] = []
    for row in read_rows(rendered / "clips.csv"):
        track = by_name[row["recording"]]
        source = f"{track['package']}:{track['path_in_package']}"
        cells = row | {"source": source, "artist": track["artist"]}
        rows.append([cells[name] for name in columns])
    write_csv(out / "clips.csv", columns, rows)
    write_text(out / "SOURCES.md", sources(tracks))


def sources(tracks: list[Track]) -> str:
    """The text of SOURCES.md: title, artist, package and licence of every track."""
    lines = [
        "# Sources of the pictures in this folder",
        "",
        "Each picture shows 10 s of a piece of free music and is a derived work of it: it comes",
        "under that piece's licence, as the last column tells. The sound itself is not here; it is",
        "in the Debian packages named. Full texts of the licences: `/usr/share/doc/<package>/",
        "copyright` of each package, and `/usr/share/common-licenses` on Debian systems.",
        "Written by `python -m subsampled_data.build`.",
        "",
        "| class | recording | title | artist | package | licence |",
        "|---|---|---|---|---|---|",
    ]
    for t in tracks:
        title = t["title"].strip('"')
        package = f"{t['package']} {t['version']}"
        cells = [t["label"], t["name"], title, t["artist"], package, t["licence"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Build the demo data; returns the exit code."""
    parser = make_parser("python -m subsampled_data.build", __doc__ or "", BuildSettings)
    settings = config_from(parser.parse_args(), BuildSettings)
    out = Path(settings.out)
    tracks = read_tracks()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        packages = Path(settings.packages) if settings.packages else work
        packages.mkdir(parents=True, exist_ok=True)
        recordings = collect(tracks, packages.absolute(), work)
        summary = render_folder(recordings, work / "rendered", SETTINGS, CLIPS)
        if summary.failures:
            raise ValueError(f"not decoded: {summary.failures}")
        out.mkdir(parents=True, exist_ok=True)
        publish(tracks, work / "rendered", out)
    print(json.dumps(summary.clips))
    return DONE


if __name__ == "__main__":
    run(main)
