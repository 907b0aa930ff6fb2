"""A file as what a network is given: one picture, or the clips of a recording. No network here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from common.files import check_regular
from common.pictures import open_picture
from common.recordings import PICTURES
from data.images.colour_map import SHOWN
from data.images.read import at_canvas, read_picture, whole_picture
from render.audio.clips import LONG_SECONDS
from train.evaluate.novelty import why_unfamiliar
from train.models.facts import ModelFacts


@dataclass(frozen=True)
class Cutting:
    """How recordings are cut into clips.

    hop_seconds: distance of the starts of two clips; None for half a clip, and a whole one where a
    recording is longer than LONG_SECONDS. n_clips: only so many, spread over it; None for all.
    """

    hop_seconds: float | None = None
    n_clips: int | None = None

    def hop_of(self, path: Path, clip_seconds: float) -> float:
        """The distance of the starts of two clips of this recording, in seconds."""
        if self.hop_seconds or self.n_clips:
            return self.hop_seconds or clip_seconds
        from render.audio.decode import probe

        try:
            long = probe(path).seconds > LONG_SECONDS
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return clip_seconds if long else clip_seconds / 2


@dataclass(frozen=True)
class Clip:
    """A picture of the network's size, uint8 (height, width, 3).

    span: its seconds if it is of a recording; unsure: why it is unlike the training's, or None.
    """

    path: str
    pixels: np.ndarray
    span: tuple[float, float] | None
    unsure: str | None


@dataclass(frozen=True)
class Preprocessing:
    """From files to clips, by what a model file says of the pictures that it was trained on."""

    facts: ModelFacts

    def read(self, path: str | Path) -> np.ndarray:
        """A picture file at the network's size: uint8 (height, width, 3)."""
        spec = self.facts.image
        return whole_picture(read_picture(path, spec.canvas, spec.drawing), spec)

    def fit(self, picture: Image.Image) -> np.ndarray:
        """A rendered picture at the network's size, as if it had been written and read."""
        spec = self.facts.image
        rgb = at_canvas(picture.convert("RGB"), picture.size, spec.canvas, spec.drawing)
        return whole_picture(rgb, spec)

    def why_unsure(self, picture: np.ndarray) -> str | None:
        """Why a picture of the network's size is unlike the training's; None if it is not."""
        return why_unfamiliar(picture, self.facts.novelty)

    def of_picture(self, path: str) -> Clip:
        """The one clip of a picture; ValueError if it is none."""
        pixels = self.read(path)
        return Clip(path, pixels, None, self._drawn_otherwise(path) or self.why_unsure(pixels))

    def _drawn_otherwise(self, path: str) -> str | None:
        """Why a picture file cannot show what a network that hears levels was trained on.

        A row is a band of frequencies and a column a moment: another number of them is another
        drawing, whatever its colours. Networks that look at pictures may be shown what others drew.
        """
        settings = self.facts.render
        if settings is None or self.facts.image.drawing.shown == SHOWN:
            return None
        with open_picture(path) as picture:
            size = picture.size
        if size == (settings.width, settings.height):
            return None
        drawn, wanted = "x".join(map(str, size)), f"{settings.width}x{settings.height}"
        return f"it has {drawn} pixels, the training pictures {wanted}"

    def of_recording(self, path: str, cutting: Cutting) -> Iterator[Clip]:
        """The clips of a recording in order; ValueError if it is none, or damaged from here on."""
        for start, end, picture in self.drawn(path, cutting):
            pixels = self.fit(picture)
            yield Clip(path, pixels, (start, end), self.why_unsure(pixels))

    def drawn(self, path: str, cutting: Cutting) -> Iterator[tuple[float, float, Image.Image]]:
        """(start_s, end_s, picture as rendered) of the clips of a recording; as `of_recording`."""
        check_regular(path)
        if Path(path).suffix.lower() in PICTURES:
            read_picture(path)  # it is none, or is_picture would have said so: raises the reason
        if self.facts.render is None:
            raise ValueError(
                f"{path}: not a picture, and the model file has no rendering settings for "
                "recordings: it was trained on pictures that python -m render did not make"
            )
        from render import pictures_of

        settings = self.facts.render
        hop = cutting.hop_of(Path(path), settings.clip_seconds)
        yield from pictures_of(path, settings, hop, cutting.n_clips)


def is_picture(path: str | Path) -> bool:
    """Whether the file's first bytes, whatever its name, are those of a picture."""
    try:
        check_regular(str(path))
    except ValueError:
        return False
    try:
        with open_picture(path):
            return True
    except ValueError:  # of too many pixels
        return True
    except (OSError, SyntaxError):
        return False
