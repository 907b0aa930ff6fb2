"""What earlier runs left in the folder: it stays, or goes when asked, and is never mixed up."""

from collections.abc import Iterable
from pathlib import Path

from render.output.checksum import fingerprint
from render.output.journal import Entry, Journal
from render.sources.folders import Recording


def reconcile(out: Path, journal: Journal, recordings: Iterable[Recording], prune: bool) -> int:
    """Drop from the journal what is not to stay, with its pictures; how many stay.

    Dropped are recordings that are not asked for any more: with `prune` all of them, otherwise only
    those whose file is gone, if another bears their name now (they were moved) or they never had
    pictures. Raises ValueError when a recording would overwrite the pictures of another one that
    still exists.
    """
    asked = {r.source: r for r in recordings}
    names = {r.name.casefold(): r for r in asked.values()}
    kept = 0
    for source in journal:
        entry = journal[source]
        old = Path(entry.get("file", ""))
        if source in asked:
            if not prune and _is_another(old, entry, asked[source].path):
                raise ValueError(_clash(out, old, asked[source]))
            continue
        rows = entry["rows"]
        same_name = names.get(rows[0]["recording"].casefold()) if rows else None
        gone = not old.is_file()
        if same_name and same_name.label == rows[0]["label"] and not gone and not prune:
            raise ValueError(_clash(out, old, same_name))
        if prune or (gone and (same_name or not rows)):
            remove_pictures(out, (row["path"] for row in rows))
            journal.drop(source)
        else:
            kept += 1
    return kept


def remove_pictures(out: Path, paths: Iterable[str]) -> None:
    """Delete pictures of `out`."""
    for path in paths:
        (out / path).unlink(missing_ok=True)


def _is_another(old: Path, entry: Entry, new: Path) -> bool:
    """Is `new` other sound than what `entry` was made of, though that is still there, elsewhere?"""
    if old == new.absolute() or not old.is_file() or not new.is_file() or old.samefile(new):
        return False
    return fingerprint(new) != entry["fingerprint"]


def _clash(out: Path, old: Path, new: Recording) -> str:
    return (
        f"{out} holds pictures of {old}, which {new.path} would overwrite: both are called "
        f"{new.name}. Choose another --out, or --prune to remove the former"
    )
