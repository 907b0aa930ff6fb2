"""The folder of a run: its name, the options it was started with, and whether it was finished."""

import shlex
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from render.settings import RenderSettings


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
    text = yaml.safe_dump(options, sort_keys=False)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder


def interrupted(folder: Path) -> bool:
    """Whether it is the folder of a run that was not finished."""
    # A run that was killed while its report was being written has both a model and checkpoints.
    done = (folder / "model.pth").exists() and not (folder / "checkpoints").exists()
    return (folder / "config.yaml").is_file() and not done


def facts_of(folder: Path, root: Path) -> dict[str, Any]:
    """What the model file and the report say of a run on `root` beside its figures."""
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    settings = root / "render.json"
    render = RenderSettings.from_json(settings.read_text("utf-8")) if settings.exists() else None
    return {
        "title": f"{root.resolve().name}: how well it is told apart",
        "render": render,
        "config": yaml.safe_load(text),
        "config_text": text,
        "command": shlex.join(["python", "main.py", "--config", str(folder / "config.yaml")]),
    }
