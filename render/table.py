"""The files beside the pictures: clips.csv, failures.csv, render.json and the journal.

Every file is written under a temporary name and moved into place, so it is whole or not there.
"""

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from render.clips import ClipSettings
from render.settings import RenderSettings

COLUMNS: tuple[str, ...] = ("path", "label", "recording", "clip", "start_s", "end_s", "group")
COLUMNS += ("augmentation", "source", "silent", "clipped", "filled")
FAILURE_COLUMNS = ("source", "label", "reason")
JOURNAL = ".journal.jsonl"  # one line per finished recording: how a second run knows what is done


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, then move it into place."""
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(out: Path) -> None:
    """Remove a killed run's temporary files, and class folders without a picture."""
    for pattern in (".*.tmp", "*/.*.tmp"):
        for path in out.glob(pattern):
            path.unlink(missing_ok=True)
    for folder in out.iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as UTF-8 CSV with "\\n" line ends."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table. Raises ValueError when it is not there."""
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def settle(out: Path, settings: RenderSettings, clips: ClipSettings) -> None:
    """Write render.json, or compare it with the one there.

    Raises ValueError with the differences when the folder was made with other settings, or holds
    pictures that we did not make.
    """
    path = out / "render.json"
    new = settings.to_dict() | {"clips": clips.to_dict()}
    if path.is_file():
        old = json.loads(path.read_text(encoding="utf-8"))
        flat_old, flat_new = _flat(old), _flat(new)
        changed = [
            f"{name} {flat_old.get(name)} -> {flat_new.get(name)}"
            for name in sorted(flat_old | flat_new)
            if flat_old.get(name) != flat_new.get(name)
        ]
        if changed:
            raise ValueError(
                f"{out} was made with other settings ({'; '.join(changed)}). "
                "Choose another --out, or delete that folder"
            )
        return
    if next(out.glob("*/*.png"), None) is not None:
        raise ValueError(f"{out} holds pictures but no render.json; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(new, indent=2) + "\n").encode())


def read_journal(out: Path) -> dict[str, dict[str, Any]]:
    """The finished recordings by source; a last line that a kill cut off is passed over."""
    entries = {}
    path = out / JOURNAL
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        entries[entry["source"]] = entry
    return entries


def write_tables(out: Path, entries: dict[str, dict[str, Any]]) -> None:
    """clips.csv, failures.csv (when there are any) and the journal, each sorted."""
    ordered = [entries[source] for source in sorted(entries)]
    rows = [row for entry in ordered for row in entry["rows"]]
    rows.sort(key=lambda row: row["path"])
    split = ("split",) if any("split" in row for row in rows) else ()
    write_csv(out / "clips.csv", COLUMNS + split, rows)
    failures = [
        {name: entry[name] for name in FAILURE_COLUMNS} for entry in ordered if entry["reason"]
    ]
    if failures:
        write_csv(out / "failures.csv", FAILURE_COLUMNS, failures)
    else:
        (out / "failures.csv").unlink(missing_ok=True)
    lines = [json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in ordered]
    write_whole(out / JOURNAL, "".join(line + "\n" for line in lines).encode())


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    nested = {f"clips.{name}": value for name, value in values.get("clips", {}).items()}
    return {name: value for name, value in values.items() if name != "clips"} | nested
