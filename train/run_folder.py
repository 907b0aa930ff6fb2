"""The folder of a run: its name, its options, what its checkpoints belong to, if it is finished."""

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from common.fields import Fields
from common.files import near, write_text
from common.validation import flag
from render.settings import RenderSettings


@dataclass(frozen=True)
class RunSettings:
    """How a run was started, and what its pictures were drawn with.

    options: of config.yaml, whose text is `text`; command: what repeats the run; render: the
    settings in render.json beside the pictures, None where there is none.
    """

    title: str
    options: dict[str, Any]
    text: str
    command: str
    render: RenderSettings | None


def new_run(out: Path, name: str, options: dict[str, Any]) -> Path:
    """A new folder out/<date-time>-<name> with config.yaml, which can be fed back.

    out/latest points to it.
    """
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    folder, n = out / stem, 1
    while True:
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:  # two runs in one second
            n += 1
            folder = out / f"{stem}-{n}"
    latest = out / "latest"
    try:
        latest.unlink(missing_ok=True)
        latest.symlink_to(folder.name, target_is_directory=True)
    except OSError as error:  # a file system without links: the run is found by its name
        print(f"note: no link {latest} ({error.strerror})", file=sys.stderr)
    write_text(folder / "config.yaml", yaml.safe_dump(options, sort_keys=False))
    return folder


@contextmanager
def in_turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold the run, so that no other process goes on with it; ValueError if one has it.

    alone: False for those processes of a training that write nothing. Where a file system cannot
    lock folders, nothing is held.
    """
    if not alone or sys.platform == "win32":
        yield
        return
    import fcntl  # which Windows has not

    opened = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"{folder} is being trained by another process: wait until it has ended"
                ) from None
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_UN)  # of processes that were forked meanwhile, too
        os.close(opened)


def interrupted(folder: Path) -> bool:
    """Whether it is the folder of a run that was not finished."""
    # A run that was killed while its report was being written has both a model and checkpoints.
    done = (folder / "model.pth").exists() and not (folder / "checkpoints").exists()
    return (folder / "config.yaml").is_file() and not done


def settings_of(folder: Path, root: Path) -> RunSettings:
    """The settings of the run in `folder` on the pictures or the table at `root`."""
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    return RunSettings(
        title=f"{root.resolve().name}: classification report",
        options=yaml.safe_load(text),
        text=text,
        command=shlex.join(["python", "main.py", "--config", str(folder / "config.yaml")]),
        render=rendered_with(root),
    )


def rendered_with(root: Path) -> RenderSettings | None:
    """The settings in render.json beside the pictures; None where there is none."""
    drawn = root / "render.json"
    return RenderSettings.from_json(drawn.read_text("utf-8")) if drawn.exists() else None


def existing_model(given: str | Path) -> Path:
    """The model file that is meant: a file, or the model.pth of a run folder.

    Raises FileNotFoundError when there is none.
    """
    file = Path(given)
    if file.is_dir() and (file / "model.pth").is_file():
        return file / "model.pth"
    if file.is_dir():
        raise FileNotFoundError(f"{file} is a folder without model.pth: no finished run")
    if not file.is_file():
        raise FileNotFoundError(f"no model file at {file}; python main.py trains one{near(file)}")
    return file


# Options that change where files lie or how fast it goes, and nothing that is learnt.
NOT_COMPARED = frozenset(
    ("data", "split", "out", "verbose", "wandb", "workers", "cache", "cache_limit", "micro_batch")
)


@dataclass(frozen=True)
class Fingerprint:
    """What the checkpoints of a run belong to; with another of any of these they are not its own.

    options: those that change what is learnt; versions: of the programs; weights, split: digests of
    what every fold starts from and of the parts; examples: a digest by path. All are text by name.
    """

    options: dict[str, str]
    versions: dict[str, str]
    digests: dict[str, str]
    examples: dict[str, str]

    @classmethod
    def read(cls, file: Path) -> "Fingerprint":
        """The fingerprint in a file; ValueError that names it if it holds none."""
        try:
            values = Fields.of(json.loads(file.read_text(encoding="utf-8")))
            sections = [values.section(one.name) for one in fields(cls)]
            return cls(*({name: part.text(name) for name in part.values} for part in sections))
        except (ValueError, OSError) as error:
            raise ValueError(f"{file} is damaged ({error}): start a new run") from None

    def differences(self, now: "Fingerprint") -> list[str]:
        """In which ways `now` differs from this one, in words."""
        found = [
            f"{flag(name)} was {then}, is {new}"
            for name, then, new in _changed(self.options, now.options)
        ]
        found += [
            f"{name} was {then}, is {new}"
            for name, then, new in _changed(self.versions, now.versions)
        ]
        found += [f"{name} changed" for name, *_ in _changed(self.digests, now.digests)]
        changes = _changed(self.examples, now.examples)
        for what, paths in {
            "gone or unreadable": [path for path, _, new in changes if new is None],
            "new": [path for path, then, _ in changes if then is None],
            "changed": [path for path, then, new in changes if then and new],
        }.items():
            if paths:
                more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
                found.append(f"{what}: {paths[0]}{more}")
        return found


def _changed(
    then: Mapping[str, str], now: Mapping[str, str]
) -> list[tuple[str, str | None, str | None]]:
    """(name, value then, value now) of every name whose values differ."""
    names = [*then, *(name for name in now if name not in then)]
    return [(n, then.get(n), now.get(n)) for n in names if then.get(n) != now.get(n)]


def check_fingerprint(folder: Path, now: Fingerprint) -> None:
    """Write the fingerprint of a run that begins; of one that is resumed, compare it.

    Raises ValueError that says what differs: the checkpoints would else be silently wrong.
    """
    checkpoints = folder / "checkpoints"
    file = checkpoints / "fingerprint.json"
    if not file.exists():
        if left := sorted(checkpoints.glob("*.pth")):
            raise ValueError(f"{left[0]} belongs to nothing that is known: start a new run")
        checkpoints.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(asdict(now), indent=0, ensure_ascii=False))
    elif found := Fingerprint.read(file).differences(now):
        raise ValueError(
            f"{folder} cannot be resumed, because its checkpoints belong to something else "
            f"({'; '.join(found)}): restore that, or start a new run"
        )
