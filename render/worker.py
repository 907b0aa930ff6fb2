"""One recording to its pictures: what runs on every core and every machine."""

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from render.audio import clips
from render.audio import decode as audio
from render.audio.clips import ClipSettings, Piece
from render.audio.effects import augmented
from render.audio.stream import cut, fill, windows
from render.output.checksum import fingerprint, stamp
from render.output.clip_table import write_whole
from render.output.reconcile import remove_pictures
from render.settings import RenderSettings
from render.sources.folders import Recording
from render.spectrogram.image import picture, png_bytes

SILENT = 1e-3  # peak below which a clip counts as silent (-60 dB of full scale)
FULL = 0.999  # full scale, less what codecs round
CLIPPED = 0.001  # part of the samples at full scale from which on a clip counts as clipped
SLACK = 0.1  # seconds by which a clip may be shorter than its length and still count as whole
EARLY_END = 0.5  # seconds by which a recording may be shorter than its header says

# glibc gives freed memory back to the system at once, until it has seen a large block freed; then
# every clip has its pages cleared for it anew, a seventh of the time (measured).
np.empty(31 << 20, dtype=np.uint8)


@dataclass(frozen=True)
class Job:
    """A recording to render. clips: how many, 0 for all. before: its line of the journal."""

    recording: Recording
    out: Path
    settings: RenderSettings
    placing: ClipSettings
    clips: int
    before: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """Changes with everything, other than the sound, that the pictures depend on."""
        r = self.recording
        facts = [r.name, r.label, r.group, r.split, self.clips]
        facts += [self.settings.to_dict(), self.placing.to_dict()]
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def render_recording(job: Job) -> dict[str, Any]:
    """Write the recording's pictures; its line of the journal, with `made` pictures written.

    What cannot be decoded is told in `reason`; clips before the fault are kept.
    """
    recording = job.recording
    entry: dict[str, Any] = {"source": recording.source, "label": recording.label, "key": job.key}
    entry |= {"rows": [], "crc": [], "reason": "", "stamp": [], "fingerprint": ""}
    entry["file"] = str(recording.path.absolute())
    try:
        if _is_done(job, entry):
            same = {name: entry[name] for name in ("file", "stamp")}
            return (job.before or {}) | same | {"made": 0}
        for row, png in _clips(job):
            write_whole(job.out / row["path"], png)
            entry["rows"].append(row)
            entry["crc"].append(zlib.crc32(png))
    except audio.DecodeError as error:
        entry["reason"] = str(error)
    made = {row["path"] for row in entry["rows"]}
    before = {row["path"] for row in job.before["rows"]} if job.before else set()
    remove_pictures(job.out, before - made)
    return entry | {"made": len(entry["rows"])}


def _is_done(job: Job, entry: dict[str, Any]) -> bool:
    """Are the pictures of `job.before` there, and of this very sound and these settings?

    What failed wholly is tried again: the cause may be gone. Fills in the recording's stamp and
    fingerprint, which is only computed when the stamp differs.
    """
    path, before = job.recording.path, job.before or {}
    entry["stamp"] = stamp(path)
    untouched = (before.get("file"), before.get("stamp")) == (entry["file"], entry["stamp"])
    entry["fingerprint"] = before["fingerprint"] if untouched else fingerprint(path)
    same = all(before.get(name) == entry[name] for name in ("key", "fingerprint"))
    rows = before.get("rows", [])
    return same and bool(rows) and all((job.out / row["path"]).is_file() for row in rows)


def _clips(job: Job) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The rows and PNG files of the recording's clips, decoded once."""
    settings, length = job.settings, job.settings.clip_samples
    facts = audio.probe(job.recording.path)
    total = round(facts.seconds * settings.sr)
    chunks = _Counted(audio.decode_stream(job.recording.path, settings.sr, facts))
    (job.out / job.recording.label).mkdir(parents=True, exist_ok=True)
    for number, piece, y in _pieces(job, chunks, total):
        if len(y) < length and settings.short == "skip" and not piece.kind:
            raise audio.DecodeError(f"{len(y) / settings.sr:.2f} s long, shorter than a clip")
        yield _clip(job, number, piece, y)
    if chunks.count < total - EARLY_END * settings.sr and chunks.ended:
        seconds = chunks.count / settings.sr
        raise audio.DecodeError(
            f"it ends at {seconds:.1f} s of the {facts.seconds:.1f} s that its header tells"
        )


def _pieces(job: Job, chunks: "_Counted", total: int) -> Iterator[tuple[int, Piece, np.ndarray]]:
    """(number, piece, samples) of each clip that lies inside the recording."""
    length = job.settings.clip_samples
    hop = round((job.placing.hop_seconds or job.settings.clip_seconds) * job.settings.sr)
    if job.clips == 0 and not job.placing.augmentations:
        for number, (start, _, y) in enumerate(windows(chunks, length, max(1, hop))):
            yield number, Piece(start, length), y
        return
    if job.clips:
        places = clips.starts(total, length, job.clips, job.placing, job.recording.name)
    else:
        places = clips.all_starts(total, length, max(1, hop))
    wanted = clips.with_augmentations(places, length, total, job.placing)
    per_place = 1 + len(job.placing.augmentations)
    slack = round(SLACK * job.settings.sr)
    for i, y in cut(chunks, [(piece.start, piece.length) for piece in wanted]):
        if len(y) and len(y) + slack >= min(wanted[i].length, total):
            yield i // per_place, wanted[i], y


def _clip(job: Job, number: int, piece: Piece, y: np.ndarray) -> tuple[dict[str, Any], bytes]:
    """A clip's row of the table and its PNG file."""
    settings, r = job.settings, job.recording
    magnitude = np.abs(y)
    peak = float(magnitude.max())
    short = len(y) < piece.length - round(SLACK * settings.sr)
    end = (piece.start + len(y)) / settings.sr
    suffix = f"__{piece.augmentation}" if piece.kind else ""
    row = {
        "path": f"{r.label}/{r.name}__{number:03d}{suffix}.png",
        "label": r.label,
        "recording": r.name,
        "clip": number,
        "start_s": f"{piece.start / settings.sr:.3f}",
        "end_s": f"{end:.3f}",
        "group": r.group,
        "augmentation": piece.augmentation,
        "source": r.source,
        "silent": "yes" if peak < SILENT else "",
        "clipped": "yes" if peak >= FULL and (magnitude >= FULL).mean() > CLIPPED else "",
        "filled": {"repeat": "repeated"}.get(settings.short, "padded") if short else "",
    }
    if r.split:
        row["split"] = r.split
    if piece.kind:
        y = augmented(y, settings.sr, piece.kind, piece.amount)
    clip = fill(y, settings.clip_samples, settings.short if short else "pad")
    return row, png_bytes(picture(clip, settings))


class _Counted:
    """A stream that knows how many samples have passed, and whether it has ended."""

    def __init__(self, chunks: Iterator[np.ndarray]) -> None:
        self.chunks, self.count, self.ended = chunks, 0, False

    def __iter__(self) -> Iterator[np.ndarray]:
        for chunk in self.chunks:
            self.count += len(chunk)
            yield chunk
        self.ended = True
        if self.count == 0:
            raise audio.DecodeError("it has no samples")
