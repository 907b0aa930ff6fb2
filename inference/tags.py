"""Genres into the tags of music files, and never half a file: a copy is tagged, then renamed."""

import os
import shutil
from pathlib import Path
from typing import Any

import mutagen
from mutagen.id3 import TCON, ID3Tags

from inference.prediction import Prediction


def tag(prediction: Prediction, min_probability: float, dry_run: bool) -> str:
    """Write the class as genre into the file's tags, or with dry_run only say so; what was done.

    A file whose answer is unsure or less likely than min_probability is left as it is. Raises
    ValueError when the file's format takes no tags or its tags cannot be written.
    """
    path = Path(prediction.path).resolve()
    if not prediction.timeline:
        return f"{prediction.path}: left as it is: not a recording"
    if prediction.unsure:
        return f"{prediction.path}: left as it is: unsure, {prediction.unsure}"
    if prediction.probability < min_probability:
        return (
            f"{prediction.path}: left as it is: {prediction.label} has only "
            f"{prediction.probability:.2f}, less than {min_probability:.2f}"
        )
    try:
        before = _genre(_opened(path))
        if before == prediction.label:
            return f"{prediction.path}: genre is {before} already"
        if not dry_run:
            _write(path, prediction.label)
    except (mutagen.MutagenError, OSError) as error:
        raise ValueError(f"{prediction.path}: its tags cannot be written ({error})") from None
    verb = "genre would change" if dry_run else "genre changed"
    return f"{prediction.path}: {verb} from {before or 'nothing'} to {prediction.label}"


def _opened(path: Path) -> Any:
    file = mutagen.File(path, easy=True)
    if file is None:
        raise mutagen.MutagenError("mutagen knows no tags of this format")
    if file.tags is None:
        file.add_tags()
    return file


def _genre(file: Any) -> str:
    if isinstance(file.tags, ID3Tags):  # WAV and AIFF: mutagen has no easy names for their tags
        return ", ".join(str(g) for frame in file.tags.getall("TCON") for g in frame.genres)
    return ", ".join(file.tags.get("genre", []))


def _write(path: Path, genre: str) -> None:
    """Tag a copy beside the file and give it the file's name: an interruption leaves the old."""
    copy = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        shutil.copy2(path, copy)
        file = _opened(copy)
        if isinstance(file.tags, ID3Tags):
            file.tags.setall("TCON", [TCON(encoding=3, text=[genre])])
        else:
            file.tags["genre"] = [genre]
        file.save()
        copy.replace(path)
    finally:
        copy.unlink(missing_ok=True)
