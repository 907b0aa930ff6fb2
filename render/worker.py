"""One recording to its pictures: what runs on every core and every machine."""

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from common.files import write_bytes
from common.recordings import SEPARATOR
from render.audio.clips import (
    ClipSettings,
    Piece,
    all_starts,
    augmented,
    starts,
    with_augmentations,
)
from render.audio.decode import DecodeError, decode_stream, probe
from render.audio.stream import cut, fill, windows
from render.output.clip_table import ClipRow
from render.output.journal import Entry
from render.output.reconcile import fingerprint, remove_pictures, stamp
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
    """A recording to render. clips: how many, 0 for all. before: its entry of an earlier run."""

    recording: Recording
    out: Path
    settings: RenderSettings
    clip_settings: ClipSettings
    clips: int
    before: Entry | None = None

    @property
    def key(self) -> str:
        """Changes with everything, other than the sound, that pictures and rows depend on."""
        return self.key_of(self.recording.group)

    def key_of(self, group: str) -> str:
        """The key if the recording were of this group, of which no picture depends."""
        r = self.recording
        facts = [r.name, r.label, group, r.split, self.clips, *r.labels]
        facts += _plain(self.settings, self.clip_settings)
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=1)
def _plain(settings: RenderSettings, clip_settings: ClipSettings) -> list[dict[str, Any]]:
    return [settings.to_dict(), clip_settings.to_dict()]


@dataclass(frozen=True)
class Rendered:
    """What became of a recording: its entry for the journal, and how many pictures were written."""

    entry: Entry
    made: int


def render_recording(job: Job) -> Rendered:
    """Write the recording's pictures, unless they are there and nothing has changed.

    Why it cannot be decoded is the entry's `reason`; clips before the fault are kept.
    """
    recording, before = job.recording, job.before
    file = str(recording.path.absolute())
    entry = Entry(recording.source, recording.label, job.key, file)
    rows: list[ClipRow] = []
    crc: list[int] = []
    try:
        entry = replace(entry, stamp=stamp(recording.path))
        untouched = before and (before.file, before.stamp) == (file, entry.stamp)
        content = before.fingerprint if before and untouched else fingerprint(recording.path)
        entry = replace(entry, fingerprint=content)
        if before and _is_done(job, before, entry):
            rows = [replace(row, group=recording.group) for row in before.rows]
            same = replace(before, key=job.key, file=file, stamp=entry.stamp, rows=tuple(rows))
            return Rendered(same, 0)
        for row, png in _clips(job):
            write_bytes(job.out / row.path, png)
            rows.append(row)
            crc.append(zlib.crc32(png))
    except DecodeError as error:
        entry = replace(entry, reason=str(error))
    made = {row.path for row in rows}
    remove_pictures(job.out, {row.path for row in before.rows} - made if before else ())
    return Rendered(replace(entry, rows=tuple(rows), crc=tuple(crc)), len(rows))


def _is_done(job: Job, before: Entry, now: Entry) -> bool:
    """Are the pictures of `before` there, and of this very sound and these settings?

    A recording that failed wholly is tried again: the cause may be gone.
    """
    if not before.rows or before.fingerprint != now.fingerprint:
        return False
    same = before.key == now.key or before.key == job.key_of(before.rows[0].group)
    return same and all((job.out / row.path).is_file() for row in before.rows)


def _clips(job: Job) -> Iterator[tuple[ClipRow, bytes]]:
    """The rows and PNG files of the recording's clips, decoded once."""
    settings, length = job.settings, job.settings.clip_samples
    header = probe(job.recording.path)
    total = round(header.seconds * settings.sr)
    chunks = _Counted(decode_stream(job.recording.path, settings.sr, header))
    for number, piece, y in _pieces(job, chunks, total):
        if len(y) < length and settings.short == "skip" and not piece.kind:
            raise DecodeError(f"{len(y) / settings.sr:.2f} s long, shorter than a clip")
        yield _clip(job, number, piece, y)
    if chunks.count < total - EARLY_END * settings.sr and chunks.ended:
        seconds = chunks.count / settings.sr
        raise DecodeError(
            f"it ends at {seconds:.1f} s of the {header.seconds:.1f} s that its header promises"
        )


def _pieces(job: Job, chunks: "_Counted", total: int) -> Iterator[tuple[int, Piece, np.ndarray]]:
    """(number, piece, samples) of each clip that lies inside the recording."""
    sr, length, clip_settings = job.settings.sr, job.settings.clip_samples, job.clip_settings
    hop = max(1, round((clip_settings.hop_seconds or job.settings.clip_seconds) * sr))
    if job.clips == 0 and not clip_settings.augmentations:
        for number, (start, _, y) in enumerate(windows(chunks, length, hop)):
            yield number, Piece(start, length), y
        return
    if job.clips:
        places = starts(total, length, job.clips, clip_settings, job.recording.name)
    else:
        places = all_starts(total, length, hop)
    wanted = with_augmentations(places, length, total, clip_settings)
    per_place = 1 + len(clip_settings.augmentations)
    slack = round(SLACK * sr)
    for i, y in cut(chunks, [(piece.start, piece.length) for piece in wanted]):
        if len(y) and len(y) + slack >= min(wanted[i].length, total):
            yield i // per_place, wanted[i], y


def _clip(job: Job, number: int, piece: Piece, y: np.ndarray) -> tuple[ClipRow, bytes]:
    """A clip's row of the table and its PNG file."""
    settings, r = job.settings, job.recording
    peak = max(float(y.max()), -float(y.min()))
    short = len(y) < piece.length - round(SLACK * settings.sr)
    suffix = f"__{piece.augmentation}" if piece.kind else ""
    row = ClipRow(
        path=f"{r.label}/{r.name}__{number:03d}{suffix}.png",
        label=r.label,
        recording=r.name,
        clip=number,
        start_s=piece.start / settings.sr,
        end_s=(piece.start + len(y)) / settings.sr,
        group=r.group,
        augmentation=piece.augmentation,
        source=r.source,
        silent=peak < SILENT,
        clipped=peak >= FULL and bool((np.abs(y) >= FULL).mean() > CLIPPED),
        filled={"repeat": "repeated"}.get(settings.short, "padded") if short else "",
        split=r.split,
        labels=SEPARATOR.join(r.labels),
    )
    if piece.kind:
        y = augmented(y, settings.sr, piece.kind, piece.amount)
    clip = fill(y, settings.clip_samples, settings.short if short else "pad")
    return row, png_bytes(picture(clip, settings))


class _Counted:
    """A stream that counts its samples and knows whether it has ended. Empty raises DecodeError."""

    def __init__(self, chunks: Iterator[np.ndarray]) -> None:
        self.chunks, self.count, self.ended = chunks, 0, False

    def __iter__(self) -> Iterator[np.ndarray]:
        for chunk in self.chunks:
            self.count += len(chunk)
            yield chunk
        self.ended = True
        if self.count == 0:
            raise DecodeError("it has no samples")
