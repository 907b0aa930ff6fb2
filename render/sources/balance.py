"""How many recordings and clips each class gives, so that rare classes are not left behind."""

import random

from render.audio.clips import ClipSettings, all_starts, most_clips
from render.audio.decode import DecodeError, probe
from render.settings import RenderSettings
from render.sources.folders import Recording


def draw_equally(recordings: list[Recording], seed: int) -> list[Recording]:
    """As many recordings of each class as the rarest has, drawn by seed, sorted by source."""
    by_class: dict[str, list[Recording]] = {}
    for r in sorted(recordings, key=lambda r: r.source):
        by_class.setdefault(r.label, []).append(r)
    fewest = min(map(len, by_class.values()))
    kept: list[Recording] = []
    for label in sorted(by_class):
        kept += random.Random(f"{seed} {label}").sample(by_class[label], fewest)
    return sorted(kept, key=lambda r: r.source)


def clips_per_recording(
    recordings: list[Recording], settings: RenderSettings, clip_settings: ClipSettings
) -> dict[str, int]:
    """Number of clips that each recording gives, by source; 0 means all.

    With balance "clips", every class is to give as many clips as the largest gives: the rarer ones
    take more of each recording, as far as max_overlap lets them.
    """
    base = clip_settings.clips_per_recording
    if clip_settings.balance != "clips":
        return {r.source: base for r in recordings}
    by_class: dict[str, dict[str, int]] = {}
    for r in recordings:
        by_class.setdefault(r.label, {})[r.source] = _room(r, settings, clip_settings)
    plain = {
        label: sum(
            min(room, base) if base else _side_by_side(room, clip_settings)
            for room in rooms.values()
        )
        for label, rooms in by_class.items()
    }
    counts: dict[str, int] = {}
    for rooms in by_class.values():
        counts |= share_out(max(plain.values()), rooms)
    return counts


def planned_clips(
    recordings: list[Recording], settings: RenderSettings, clip_settings: ClipSettings
) -> dict[str, int]:
    """Number of clips that a run would make of each recording, if the files' headers are right."""
    counts = clips_per_recording(recordings, settings, clip_settings)
    hop = max(1, round((clip_settings.hop_seconds or settings.clip_seconds) * settings.sr))
    length, clips = settings.clip_samples, dict[str, int]()
    for r in recordings:
        total = _samples(r, settings.sr)
        if total is None or (total < length and settings.short == "skip"):
            continue
        n = min(counts[r.source], most_clips(total, length, clip_settings.max_overlap))
        n = n or len(all_starts(total, length, hop))
        clips[r.source] = n * (1 + len(clip_settings.augmentations))
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


def _side_by_side(room: int, clip_settings: ClipSettings) -> int:
    """Clips that fit one after the other where `room` fit with max_overlap."""
    return max(1, int((room - 1) * (1 - clip_settings.max_overlap)) + 1)


def _room(recording: Recording, settings: RenderSettings, clip_settings: ClipSettings) -> int:
    """Most clips that the recording can give; 1 if it cannot be read: rendering will say so."""
    total = _samples(recording, settings.sr)
    if total is None:
        return 1
    return most_clips(total, settings.clip_samples, clip_settings.max_overlap)


def _samples(recording: Recording, sr: int) -> int | None:
    """Samples of the recording at `sr` Hz as its header says, None if it cannot be read."""
    try:
        return round(probe(recording.path).seconds * sr)
    except (DecodeError, OSError):
        return None
