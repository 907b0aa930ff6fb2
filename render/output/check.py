"""A finished folder against its tables: is every picture there, whole and unchanged?"""

import io
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from common.pictures import open_picture
from render.output.clip_table import read_rows, read_settings
from render.output.journal import entries
from render.settings import RenderSettings


def faults(folder: Path) -> list[str]:
    """One line for each fault, none when the folder is as it was made.

    Without the journal (a folder that was passed on), a picture's bytes cannot be compared, but
    it must still decode to the size that render.json states.
    """
    if not (folder / "render.json").is_file():
        raise ValueError(f"{folder} has no render.json: not a folder that render made")
    settings, _ = read_settings(folder)
    rows = read_rows(folder / "clips.csv", ("path", "label"))
    named = Counter(row["path"] for row in rows)
    there = {path.relative_to(folder).as_posix() for path in folder.glob("*/*.png")}
    found = [f"{path}: named {n} times in clips.csv" for path, n in named.items() if n > 1]
    found += [f"{path}: missing" for path in sorted(set(named) - there)]
    found += [f"{path}: not in clips.csv" for path in sorted(there - set(named))]
    known = {
        row.path: crc
        for _, entry in entries(folder)
        for row, crc in zip(entry.rows, entry.crc, strict=True)
    }
    for row in rows:
        if row["path"] in there:
            fault = _fault(folder / row["path"], settings, known.get(row["path"]))
            found += [f"{row['path']}: {fault}"] if fault else []
        if row["label"] != row["path"].split("/")[0]:
            found.append(f"{row['path']}: labelled {row['label']}")
    return found


def _fault(path: Path, settings: RenderSettings, crc: int | None) -> str:
    content = path.read_bytes()
    if crc is not None and zlib.crc32(content) != crc:
        return "changed since it was made"
    try:
        with open_picture(io.BytesIO(content)) as image:
            size = np.asarray(image).shape[:2]
    # Pillow raises SyntaxError for a broken PNG chunk.
    except (OSError, SyntaxError, ValueError) as error:
        return f"cannot be read ({error})"
    if size != (settings.height, settings.width):
        return f"{size[1]} x {size[0]} instead of {settings.width} x {settings.height}"
    return ""
