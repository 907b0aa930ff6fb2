"""A recording in, its clips out, as it is decoded: what predicting and previewing build on."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from render.settings import RenderSettings

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

MOST_CHUNKS = 64  # held before they are joined, so that clips far apart need no memory in between


def pictures_of(
    path: str | Path,
    settings: RenderSettings,
    hop_seconds: float | None = None,
    n_clips: int | None = None,
) -> Iterator[tuple[float, float, "Image.Image"]]:
    """Yield (start_s, end_s, picture) for clips of the recording, in order.

    They start every hop_seconds (default: one clip after the other) and cover the whole recording;
    the last one ends where it ends. With n_clips there are so many, spread over it, or fewer where
    it is too short for them. Memory does not grow with the recording. A recording shorter than a
    clip is repeated or padded as settings.short says (skip pads, here). Raises ValueError with the
    path and the reason when it cannot be decoded.
    """
    from render.audio.decode import DecodeError
    from render.spectrogram.image import picture

    hop = round((hop_seconds or settings.clip_seconds) * settings.sr)
    if hop < 1:
        raise ValueError(f"hop_seconds={hop_seconds} must be positive")
    found = False
    try:
        clips = _spread(Path(path), settings, n_clips) if n_clips else iter(())
        first = next(clips, None)
        if first is None:  # every clip is asked for, or the header promised more than there is
            clips = _covering(Path(path), settings, hop)
            first = next(clips, None)
        for start, end, y in chain([first] if first else [], clips):
            found = True
            clip = fill(y, settings.clip_samples, settings.short)
            yield start / settings.sr, end / settings.sr, picture(clip, settings)
        if not found:
            raise DecodeError("it has no samples")
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: {error}") from error


def _covering(
    path: Path, settings: RenderSettings, hop: int
) -> Iterator[tuple[int, int, "np.ndarray"]]:
    from render.audio.decode import decode_stream

    yield from windows(decode_stream(path, settings.sr), settings.clip_samples, hop)


def _spread(
    path: Path, settings: RenderSettings, n_clips: int
) -> Iterator[tuple[int, int, "np.ndarray"]]:
    """(start, end, y) of clips spread over the length that the header tells; none cut off."""
    from render.audio.clips import ClipSettings, starts
    from render.audio.decode import decode_stream, probe

    facts, length = probe(path), settings.clip_samples
    total = round(facts.seconds * settings.sr)
    places = starts(total, length, n_clips, ClipSettings(), "")
    chunks = decode_stream(path, settings.sr, facts)
    for number, y in cut(chunks, [(start, length) for start in places]):
        if len(y) == length or (len(places) == 1 and len(y)):
            yield places[number], places[number] + len(y), y


def windows(
    chunks: Iterable["np.ndarray"], length: int, hop: int
) -> Iterator[tuple[int, int, "np.ndarray"]]:
    """Yield (start, end, y) every `hop` samples, and a last one that ends where the stream ends.

    y has `length` samples, or fewer when the whole stream has fewer.
    """
    import numpy as np

    kept, first = np.zeros(0, dtype=np.float32), 0  # `kept` starts at sample `first`
    start = end = 0
    new: list[np.ndarray] = []  # chunks behind `kept`
    for chunk in chunks:
        new.append(chunk)
        if first + len(kept) + sum(map(len, new)) < start + length and len(new) < MOST_CHUNKS:
            continue
        kept = np.concatenate((kept, *new))
        new.clear()
        while start + length <= first + len(kept):
            end = start + length
            yield start, end, kept[start - first : end - first]
            start += hop
        drop = max(0, min(start, first + len(kept) - length) - first)
        kept, first = kept[drop:], first + drop
    kept = np.concatenate((kept, *new))
    total = first + len(kept)
    if end < total:
        last = max(0, total - length)
        yield last, total, kept[last - first :]


def cut(
    chunks: Iterable["np.ndarray"], pieces: list[tuple[int, int]]
) -> Iterator[tuple[int, "np.ndarray"]]:
    """Yield (number, y) for each piece (start, length) in samples, in the order of their starts.

    y is shorter than asked for, maybe empty, when the stream ends before the piece does. The
    stream is read no further than the last piece needs.
    """
    import numpy as np

    order = sorted(range(len(pieces)), key=lambda i: (pieces[i][0], i))
    kept, first = np.zeros(0, dtype=np.float32), 0
    source = iter(chunks)
    for number in order:
        start, length = pieces[number]
        parts = [kept]
        have = first + len(kept)
        while have < start + length and (chunk := next(source, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
            while len(parts) > 1 and have - sum(map(len, parts[1:])) <= start:
                parts.pop(0)  # wholly before the piece
        kept = np.concatenate(parts)
        first = have - len(kept)
        drop = min(max(0, start - first), len(kept))
        kept, first = kept[drop:], first + drop
        yield number, kept[max(0, start - first) :][:length]


def fill(y: "np.ndarray", length: int, short: str) -> "np.ndarray":
    """`y` brought to `length` samples: repeated from its start, or followed by silence."""
    import numpy as np

    if len(y) >= length:
        return y[:length]
    if short == "repeat" and len(y):
        return np.resize(y, length)
    return np.pad(y, (0, length - len(y)))
