"""The folder of a run: its name, the options it was started with, and whether it was finished."""

import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.files import write_text
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
        raise FileNotFoundError(f"no model file at {file}; python main.py trains one")
    return file
