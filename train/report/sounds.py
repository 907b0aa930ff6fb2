"""The sound of a tested picture, to be heard in the report: a clip of its recording in Ogg."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import soundfile

from data.image_folder import read_clip_table
from render.audio.decode import decode_stream
from render.audio.stream import cut

SR = 22_050  # Hz: enough to hear what was mistaken, at some 60 kB for ten seconds
TYPE = "audio/ogg"

SoundOf = Callable[[str], str | None]  # path of a picture -> data URI, None where there is none


def silence(_: str) -> None:
    """The sound of pictures whose recordings are not known: none."""


def sounds_of(pictures: Path, recordings: Path) -> SoundOf:
    """What a picture below `pictures` sounds like, by its clips.csv and the folder of recordings.

    Raises ValueError when there is no such folder, or no clips.csv that names recordings.
    """
    rows = read_clip_table(pictures)
    if not recordings.is_dir():
        raise ValueError(f"--sound {recordings}: no such folder of recordings")
    if not any(row.get("source") for row in rows.values()):
        raise ValueError(
            f"--sound {recordings}: {pictures} has no clips.csv that names the recordings, as "
            "python -m render writes it"
        )

    def sound(path: str) -> str | None:
        row = rows.get(path, {})
        file = recordings / row.get("source", "")
        try:
            start, end = (round(SR * float(row[name])) for name in ("start_s", "end_s"))
            ((_, samples),) = cut(decode_stream(file, SR), [(start, end - start)])
        except (KeyError, ValueError, OSError):  # moved, or changed since it was drawn
            return None
        out = io.BytesIO()
        soundfile.write(out, samples, SR, format="OGG", subtype="VORBIS")
        return f"data:{TYPE};base64,{base64.b64encode(out.getvalue()).decode()}"

    return sound
