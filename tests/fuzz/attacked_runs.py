"""Runs that are edited, killed or out of disk, then go on: the same figures, or a line."""

import random
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from bench.resume import facts
from common.files import digest_of
from tests import sounds
from tests.fuzz.cases import ODD, mutated
from tests.fuzz.part import RENDERING, TRAINING, House, Part, scratch
from tests.fuzz.watched import watch
from tests.helpers import start_module, start_script, write_stripes


def edited_runs(house: House, part: Part, n: int) -> None:
    """Run folders edited before --resume: refused in a line, or the figures of the undisturbed."""
    data = write_stripes(house.folder / "stripes", n_recordings=4)
    start = [data, *TRAINING, "--out"]
    done = start_script("main.py", *start, house.folder / "whole").finish()
    assert done.returncode == 0, done.stderr
    truth = facts(house.folder / "whole/latest")
    command = start_script("main.py", *start, house.folder / "cut")
    command.until("fold 2/2  finetune epoch   1")
    command.send_signal(9)
    command.finish()
    begun = (house.folder / "cut/latest").resolve()
    for case in range(part.first, part.first + n):
        with scratch(house, part, case) as (folder, env):
            run, own = folder / "run", folder / "stripes"
            shutil.copytree(begun, run)
            shutil.copytree(data, own)
            config = yaml.safe_load((run / "config.yaml").read_text())
            (run / "config.yaml").write_text(yaml.safe_dump(config | {"data": str(own)}))
            edit = _edit(np.random.default_rng([case]), run, own)
            ended = watch(["main.py", "--resume", run], folder, usual=40, **env)
            part.check(f"{case} ({edit})", ended)
            part.tried += 1
            if ended.code in (0, 3):
                same = (run / "metrics.json").exists() and facts(run) == truth
                part.expect(f"{case} ({edit})", same, f"code {ended.code}, other figures")
            elif ended.code in (1, 2):
                one_line = ended.error.count("\n") == 1
                part.expect(f"{case} ({edit})", one_line, ended.error[-300:])


def _edit(rng: np.random.Generator, run: Path, data: Path) -> str:
    """Change something in a run's folder, or in what it was trained on; what it was."""
    files = sorted(p for p in run.rglob("*") if p.is_file() and "tensorboard" not in p.parts)
    file, kind = files[int(rng.integers(len(files)))], int(rng.integers(8))
    pictures = sorted(data.rglob("*.png"))
    picture = pictures[int(rng.integers(len(pictures)))]
    if kind == 0:
        file.write_bytes(mutated(file.read_bytes(), rng))
    elif kind == 1:
        file.unlink()
    elif kind == 2:
        config = yaml.safe_load((run / "config.yaml").read_text())
        name = str(rng.choice(sorted(config)))
        odd = [7, "x", None, 1e9, ODD[int(rng.integers(len(ODD)))]]
        value = odd[int(rng.integers(len(odd)))]
        (run / "config.yaml").write_text(yaml.safe_dump(config | {name: value}))
        return f"config.yaml {name}: {value!r:.30}"
    elif kind == 3:
        checkpoint = sorted((run / "checkpoints").glob("*.pth"))[int(rng.integers(2))]
        values = torch.load(checkpoint, weights_only=True)
        names = sorted(values)
        name = names[int(rng.integers(len(names)))]
        torch.save(values | {name: ODD[int(rng.integers(len(ODD)))]}, checkpoint)
        return f"{checkpoint.name} {name}"
    elif kind == 4:
        lines = (run / "split.csv").read_text().splitlines()
        place = int(rng.integers(1, len(lines)))
        lines[place] = str(rng.choice(["", lines[1], lines[place] + ",x", "a,b,c"]))
        (run / "split.csv").write_text("\n".join(lines))
        return f"split.csv line {place}"
    elif kind == 5:
        Image.fromarray(rng.integers(0, 256, (48, 96, 3), dtype=np.uint8)).save(picture)
    elif kind == 6:
        picture.unlink()
    else:
        shutil.copy(picture, picture.with_name(f"new{picture.name}"))
    return f"kind {kind}, {file.relative_to(run)}, {picture.name}"


def killed_trainings(house: House, part: Part, n: int) -> None:
    """Trainings ended by SIGKILL at any moment, and resumed: the figures of the undisturbed."""
    data = write_stripes(house.folder / "stripes-killed", n_recordings=4)
    start = ["main.py", data, *TRAINING, "--out", house.folder / "killed"]
    ended = watch(start, house.folder, usual=60)
    truth, draw = facts(house.folder / "killed/latest"), random.Random(part.first)
    for case in range(part.first, part.first + n):
        shutil.rmtree(house.folder / "killed", ignore_errors=True)
        command = start_script(str(start[0]), *start[1:])
        _kill_after(command, draw.uniform(0.1, 1) * ended.seconds)
        run = house.folder / "killed/latest"
        going = ["main.py", "--resume", run] if run.exists() else start
        last = watch(going, house.folder, usual=60)
        if last.code == 1 and "no interrupted run" in last.error:  # it had ended before
            last.code = 0
        part.check(case, last)
        part.tried += 1
        part.expect(case, last.code == 0 and facts(run) == truth, last.error[-300:])


def _kill_after(command: Any, seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        command.finish(seconds)


def killed_renderings(house: House, part: Part, n: int) -> None:
    """Renderings ended by SIGKILL at any moment, and begun again: the files of an undisturbed."""
    audio = sounds.write_collection(house.folder / "more", n_recordings=20, seconds=10)
    words = ["-m", "render", audio, "--out", house.folder / "drawn", *RENDERING]
    ended = watch(words, house.folder, usual=60)
    truth, draw = _tree(house.folder / "drawn"), random.Random(part.first + 1)
    for case in range(part.first, part.first + n):
        shutil.rmtree(house.folder / "drawn", ignore_errors=True)
        _kill_after(start_module(*map(str, words[1:])), draw.uniform(0.2, 1) * ended.seconds)
        last = watch(words, house.folder, usual=60)
        part.check(case, last)
        part.tried += 1
        part.expect(case, _tree(house.folder / "drawn") == truth, last.error[-300:])


def _tree(folder: Path) -> dict[str, str]:
    """The digests of the pictures and tables below a folder, by path."""
    files = [p for p in folder.rglob("*") if p.suffix in (".png", ".csv", ".json", ".part")]
    return {p.relative_to(folder).as_posix(): digest_of(p) for p in files}


def full_disks(house: House, part: Part, n: int) -> None:
    """Disks that are full at n moments: one line, and with room again the same result.

    A file system in memory, which only root can mount; without that right nothing is tried.
    """
    place = house.folder / "disk"
    place.mkdir()
    data = write_stripes(house.folder / "stripes-full", n_recordings=4)
    train = ["main.py", data, *TRAINING, "--out", place / "runs", "--cache", place / "cache"]
    render = ["-m", "render", house.folder / "audio", "--out", place / "drawn", *RENDERING]
    truth, draw = dict[str, object](), random.Random(part.first)
    for case in range(-2, n):
        words = train if case % 2 else render
        stage = (case // 2 + draw.random()) / (n / 2)  # from 40 kB to 4 MB, each magnitude alike
        size = "512m" if case < 0 else f"{40 * 100**stage:.0f}k"
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place])
        if mounted.returncode:
            return
        try:
            first = watch(words, place, usual=60, TMPDIR=str(place))
            part.check(f"{case} {size}", first)
            if case >= 0:
                part.tried += 1
                told = first.code == 0 or (first.code == 1 and "No space left" in first.error)
                part.expect(f"{case} {size}", told, f"code {first.code}: {first.error[-300:]}")
            subprocess.run(["mount", "-o", "remount,size=512m", place], check=True)
            run = place / "runs/latest"
            again = ["main.py", "--resume", run] if words is train and run.exists() else words
            if first.code:
                part.check(f"{case} {size}, with room", watch(again, place, usual=60))
            found = facts(run) if words is train else _tree(place / "drawn")
            if case < 0:
                truth[words[0]] = found
            part.expect(f"{case} {size}", found == truth[words[0]], "another result with room")
        finally:
            subprocess.run(["umount", place], check=True)
