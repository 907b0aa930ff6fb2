"""Embeddings of pictures by a frozen backbone: computed once, kept for folds, resumes, later runs.

An entry is a folder `<model>-<pictures>` with `rows.npy`, float16 (n, F), `digests.npy`, what the
rows are embeddings of, and `checksum`. Its name and its digests say all that the rows depend on, so
that another backbone, size, precision or picture can never be answered with them.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from common.progress import stage
from train.loop.checkpoint import weights_digest
from train.loop.inference import frozen_features
from train.loop.state import Batch
from train.loop.trainer import Trainer
from train.models.ensemble import members_of

VERSION = 1  # of how features are computed from a picture
MAX_FLOAT16 = 65504.0
GIB = 2**30


@dataclass(frozen=True)
class Embeddings:
    """Rows by the position of the picture: `embeddings[positions]` is float16 (k, F).

    values: (n, F), mapped from a file; row_of: of every position its row, -1 where it has none.
    """

    values: np.ndarray
    row_of: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(number of positions, length of an embedding)."""
        return len(self.row_of), self.values.shape[1]

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        return self.values[self.row_of[positions]]

    def only(self, positions: np.ndarray) -> "Embeddings":
        """Those of some positions, by their number among these; nothing is read yet."""
        return Embeddings(self.values, self.row_of[positions])


def embeddings_of(trainer: Trainer, positions: np.ndarray) -> Embeddings:
    """Embeddings of the pictures at `positions` by the trainer's backbone as it is now.

    k folds of head training cost one pass over the pictures; a resumed run, and a later one of the
    same backbone and pictures, none. Memory does not grow with their number.
    """
    positions, own = np.unique(positions), trainer.run / "checkpoints"
    cache, n_bytes = trainer.cache, 2 * len(positions) * trainer.model.n_features
    if cache is None or trainer.pictures.digests is None or n_bytes > cache.limit_gib * GIB:
        return _stored(trainer, own, positions)
    folder = cache.folder / "embeddings"
    try:
        found = _stored(trainer, folder, positions)
        with _alone(folder):
            _make_room(folder, int(cache.limit_gib * GIB))
    except OSError:  # the cache cannot be written to
        return _stored(trainer, own, positions)
    return found


def _stored(trainer: Trainer, folder: Path, positions: np.ndarray) -> Embeddings:
    """The embeddings from an entry of the folder that has all of them, made if there is none."""
    model, digests = model_digest(trainer), picture_digests(trainer, positions)
    whole = _with_all(_entries(folder, model, digests))
    if whole is None:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            known = _entries(folder, model, digests)
            whole = _with_all(known)  # another process may have made it
            if whole is None:
                pictures = blake2b(digests.tobytes(), digest_size=16).hexdigest()
                entry = folder / f"{model}-{pictures}"
                _write_entry(entry, digests, known, trainer, positions)
                _remove_contained(folder, model, entry)
                whole = _with_all(_entries(folder, model, digests))
    if whole is None:
        raise OSError(f"cannot read the embeddings in {folder}, which were just written")
    row_of = np.full(len(trainer.pictures.labels), -1)
    row_of[positions] = whole.row_of
    return Embeddings(whole.values, row_of)


def picture_digests(trainer: Trainer, positions: np.ndarray) -> np.ndarray:
    """What each picture is known by, bytes (k,): its pixels, or its number where these are not."""
    if trainer.pictures.digests is not None:
        return trainer.pictures.digests[positions]
    return np.array([f"position {i}".encode() for i in positions], "S32")


def model_digest(trainer: Trainer) -> str:
    """Of all that turns a picture into its embedding: backbone, weights, size, precision."""
    model, seen = members_of(trainer.model)[0], blake2b(digest_size=16)
    backbone, spec = model.backbone, getattr(trainer.pictures, "spec", None)
    architecture = dict(getattr(backbone, "pretrained_cfg", {})).get("architecture")
    precision = trainer.fabric._precision.precision
    about = (VERSION, type(backbone).__name__, architecture, model.pooling, spec, precision)
    seen.update(f"{about} {weights_digest(backbone.state_dict())}".encode())
    return seen.hexdigest()


def _entries(folder: Path, model: str, digests: np.ndarray) -> list[Embeddings]:
    """What the entries of a backbone have of the pictures: `row_of` is -1 where they lack one."""
    found = []
    for entry in sorted(folder.glob(f"{model}-*")):
        theirs = _digests_in(entry)
        has = np.isin(digests, theirs)
        if has.any() and (rows := _rows_in(entry)) is not None:
            order = np.argsort(theirs, kind="stable")
            row_of = np.full(len(digests), -1)
            row_of[has] = order[np.searchsorted(theirs, digests[has], sorter=order)]
            found.append(Embeddings(rows, row_of))
    return found


def _with_all(entries: list[Embeddings]) -> Embeddings | None:
    """Those of an entry that has every picture, if there is one."""
    return next((one for one in entries if (one.row_of >= 0).all()), None)


def _rows_in(entry: Path) -> np.ndarray | None:
    """The rows of an entry, mapped; None if it is not as it was written."""
    try:
        if _checksum(entry) != (entry / "checksum").read_text(encoding="ascii"):
            return None
        os.utime(entry)  # used now: the last to be removed
        rows: np.ndarray = np.load(entry / "rows.npy", mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return rows


def _digests_in(entry: Path) -> np.ndarray:
    try:
        digests: np.ndarray = np.load(entry / "digests.npy")
    except (OSError, ValueError, EOFError):
        return np.empty(0, "S32")
    return digests


def _checksum(entry: Path) -> str:
    seen = blake2b(digest_size=16)
    for name in ("rows.npy", "digests.npy"):
        with (entry / name).open("rb") as file:
            while block := file.read(2**22):
                seen.update(block)
    return seen.hexdigest()


def _write_entry(
    entry: Path,
    digests: np.ndarray,
    known: list[Embeddings],
    trainer: Trainer,
    positions: np.ndarray,
) -> None:
    """Write the rows, those that are known and those of the other pictures, whole or not at all."""
    source = np.full(len(positions), -1)
    for k, one in enumerate(known):
        source[one.row_of >= 0] = k
    fresh = _embedded(trainer, positions[source < 0])
    part = entry.with_name(f"{entry.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        with (part / "rows.npy").open("wb") as out:  # on a full disk a map would end the process
            shape = (len(positions), trainer.model.n_features)
            header = {"descr": "<f2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            for i, k in enumerate(source):
                row = next(fresh) if k < 0 else known[k].values[known[k].row_of[i]]
                out.write(row.astype("<f2").tobytes())
        np.save(part / "digests.npy", digests)
        (part / "checksum").write_text(_checksum(part), encoding="ascii")
        shutil.rmtree(entry, ignore_errors=True)
        part.rename(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _embedded(trainer: Trainer, positions: np.ndarray) -> Iterator[np.ndarray]:
    """The rows float16 (F,) of the pictures, one after another."""
    if not len(positions):
        return
    with stage("embedding", len(positions), "pictures") as embedding:
        kept = trainer.cache.graphs if trainer.cache else None
        model = members_of(trainer.model)[0]
        features = frozen_features(model, trainer.fabric, len(positions), kept)
        batches: Iterable[Batch] = trainer.batches(positions)
        for images, _ in batches:
            yield from features(images).clamp(-MAX_FLOAT16, MAX_FLOAT16).to(torch.float16).numpy()
            embedding.update(len(images))


def _remove_contained(folder: Path, model: str, entry: Path) -> None:
    """Remove the entries of a backbone all of whose pictures are in `entry` as well."""
    digests = _digests_in(entry)
    for other in folder.glob(f"{model}-*"):
        if other != entry and np.isin(_digests_in(other), digests).all():
            shutil.rmtree(other, ignore_errors=True)


def _make_room(folder: Path, most: int) -> None:
    """Remove the entries used longest ago until all take at most so many bytes."""
    entries = sorted(folder.glob("*-*"), key=lambda entry: entry.stat().st_mtime)
    sizes = [sum(file.stat().st_size for file in entry.glob("*")) for entry in entries]
    total = sum(sizes)
    for entry, size in zip(entries[:-1], sizes, strict=False):  # the last is in use
        if total > most:
            shutil.rmtree(entry, ignore_errors=True)
            total -= size


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Inside, no other process writes to the folder; the lock ends with its holder."""
    with FileLock(folder / "lock"):
        for left in folder.glob("*.part"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        yield
