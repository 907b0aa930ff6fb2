"""The whole house attacked, and the table of what came of it: python -m tests.fuzz attack.

Every part makes its cases by number, so that one can be made again, and asks after each batch for
the answer to something good, which must be as before.
"""

import json
import random
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
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
from tests.fuzz.hostile_files import write_hostile
from tests.fuzz.runner import Finding, Fuzzer
from tests.fuzz.visitors import running_page, send_files, send_requests
from tests.fuzz.watched import Ended, watch
from tests.helpers import SHORT, TINY, start_module, start_script, write_stripes

HARMS = ("traceback", "hang", "memory", "program", "outside", "wrong", "leftover")
BATCH = 20  # files that a command is given at once
TRAINING = (*TINY, *SHORT, "--epochs", "3", "--verbose")
RENDERING = (*sounds.RENDER, "--jobs", "1")


@dataclass
class Part:
    """What came of one part of the attack."""

    name: str
    tried: int = 0
    harms: Counter[str] = field(default_factory=Counter)

    def found(self, harm: str, case: object, what: str) -> None:
        """Count and print a harm."""
        self.harms[harm] += 1
        print(f"FOUND {self.name}, {case}: {harm}: {what}", flush=True)

    def check(self, case: object, ended: Ended) -> None:
        """Count the harm that any command can do, and refusals that are not a line."""
        for harm, what in ended.harm():
            self.found(harm, case, what)

    def expect(self, case: object, true: bool, what: str) -> None:
        """Count something silently wrong unless it is `true`."""
        if not true:
            self.found("wrong", case, what)

    def row(self) -> str:
        """The part as a row of the table."""
        counts = [str(self.harms[harm]) for harm in HARMS]
        return f"| {self.name} | {self.tried:,} | {' | '.join(counts)} |"


@dataclass(frozen=True)
class House:
    """A trained model with what it was trained on, all below `folder`, and good answers."""

    folder: Path
    model: Path
    song: Path
    pictures: Path

    @classmethod
    def build(cls, folder: Path) -> "House":
        """Draw and train on a few recordings of two classes."""
        audio = sounds.write_collection(folder / "audio", n_recordings=6)
        pictures = folder / "spectrograms"
        done = start_module("render", audio, "--out", pictures, *RENDERING).finish()
        assert done.returncode == 0, done.stderr
        done = start_script("main.py", pictures, "--out", folder / "runs", *TRAINING,
                            "--duplicates", "ignore").finish()  # fmt: skip
        assert done.returncode == 0, done.stderr
        return cls(folder, folder / "runs/latest/model.pth", audio / "high/high0.wav", pictures)


@contextmanager
def scratch(house: House, part: Part, case: object) -> Iterator[tuple[Path, dict[str, str]]]:
    """An empty folder and the environment of commands that write there alone; then it is gone."""
    folder = house.folder / "case"
    (folder / "tmp").mkdir(parents=True)
    env = {"TMPDIR": str(folder / "tmp"), "SPECTROFOLD_CACHE": str(folder / "cache")}
    try:
        yield folder, env
        left = [p.name for p in (folder / "tmp").iterdir()]
        left += [p.name for p in folder.rglob("*.part")]
        if left:
            part.found("leftover", case, ", ".join(left[:3]))
    finally:
        shutil.rmtree(folder)


def predict_files(house: House, part: Part, n: int) -> None:
    """Hostile files through predict, each batch with a good one behind it."""
    (good,) = json.loads(_predicted(house, [house.song]).said)
    for first in range(0, n, BATCH):
        with scratch(house, part, first) as (folder, env):
            (folder / "in").mkdir()
            files = [write_hostile(folder / "in", first + i) for i in range(BATCH)]
            ended = _predicted(house, [*files, house.song], folder, env)
            part.check(first, ended)
            part.tried += len(files)
            answers = json.loads(ended.said) if ended.said.startswith("[") else []
            refused = sum(
                line.startswith(("error: ", "note: ")) for line in ended.error.splitlines()
            )
            same = bool(answers) and _is_same(answers[-1], good)
            part.expect(first, same, f"the good one: {ended.said[-200:]}{ended.error[-300:]}")
            n_told = len({one["path"] for one in answers}) + refused
            part.expect(first, n_told == len(set(files)) + 1, f"{n_told} of {BATCH + 1} told")


def _is_same(answer: dict[str, Any], good: dict[str, Any]) -> bool:
    """Whether it is the good answer, by whatever engine."""
    names = ("path", "class")
    close = abs(answer["probability"] - good["probability"]) < 1e-3
    return close and all(answer[name] == good[name] for name in names)


def _predicted(
    house: House, files: list[Path], folder: Path | None = None, env: dict[str, str] | None = None
) -> Ended:
    words = ["predict.py", house.model, *files, "--json"]
    return watch(words, folder or house.folder, **(env or {}))


def render_files(house: House, part: Part, n: int) -> None:
    """Hostile files through render; the picture of the good recording is as ever."""
    (known,) = [digest_of(p) for p in sorted((house.pictures / "high").glob("high0__*.png"))[:1]]
    for first in range(0, n, BATCH):
        with scratch(house, part, first) as (folder, env):
            (folder / "in/high").mkdir(parents=True)
            for i in range(BATCH):
                write_hostile(folder / "in/high", first + i)
            shutil.copy(house.song, folder / "in/high/high0.wav")
            ended = watch(["-m", "render", folder / "in", "--out", folder / "out", *RENDERING],
                          folder, **env)  # fmt: skip
            part.check(first, ended)
            part.tried += BATCH
            made = sorted((folder / "out/high").glob("high0__*.png"))[:1]
            part.expect(first, [digest_of(p) for p in made] == [known], ended.error[-300:])
            checked = watch(["-m", "render", "--check", folder / "out"], folder, **env)
            part.expect(first, checked.code == 0, f"--check: {checked.said[-300:]}")


def audit_files(house: House, part: Part, n: int) -> None:
    """Hostile files through the audit, beside good pictures of two classes."""
    for first in range(0, n, BATCH):
        with scratch(house, part, first) as (folder, env):
            shutil.copytree(house.pictures, folder / "in")
            for name in ("clips.csv", "render.json"):
                (folder / "in" / name).unlink()
            for i in range(BATCH):
                write_hostile(folder / "in/low", first + i)
            ended = watch(["-m", "data.audit", folder / "in", "--html", folder / "a.html"],
                          folder, **env)  # fmt: skip
            part.check(first, ended)
            part.tried += BATCH
            n_high = len(list((folder / "in/high").iterdir()))
            part.expect(first, f"high\t{n_high} pictures" in ended.said, ended.error[-300:])


def model_files(house: House, part: Part, n: int) -> None:
    """Model files whose bytes, weights, facts or program are changed, in a watched process."""
    (place := house.folder / "fuzz").mkdir()
    fuzzer = Fuzzer(place)
    for kind in ("checkpoint", "program"):
        for result in fuzzer.fuzz(kind, 3600, first=1000, most=n // 2):
            if isinstance(result, Finding):
                harms = {"not done": "hang", "the process": "traceback"}
                harm = harms.get(result.what[:8], harms.get(result.what[:11], "traceback"))
                part.found("memory" if result.what.endswith(" MB") else harm, result, "")
            else:
                part.tried += result
    fuzzer.end()


def tables_and_configs(house: House, part: Part, n: int) -> None:
    """Hostile tables of features and of clips, render.json and YAML, through the commands."""
    odd_cells = ["x" * 200_000, "\x00", '"', "1e400", "nan", "\ufeff", "a,b,c", "9" * 5000, "=1+1"]
    for case in range(n):
        rng, part.tried = np.random.default_rng([case]), part.tried + 1
        with scratch(house, part, case) as (folder, env):
            if case % 2:
                rows = [f"{i}.wav,{'ab'[i % 2]},{rng.normal()},{rng.normal()}" for i in range(40)]
                rows[int(rng.integers(40))] = str(rng.choice(odd_cells))
                content = "\n".join(["path,label,x,y", *rows]).encode()
                (folder / "x.csv").write_bytes(mutated(content, rng) if case % 4 == 1 else content)
                words: list[object] = ["main.py", folder / "x.csv", "--out", folder / "runs",
                                       "--model", "logistic", "--folds", "2"]  # fmt: skip
            elif case % 4:
                shutil.copytree(house.pictures, folder / "in")
                file = folder / "in" / str(rng.choice(["clips.csv", "render.json"]))
                file.write_bytes(mutated(file.read_bytes(), rng))
                words = ["main.py", folder / "in", "--out", folder / "runs", *TRAINING]
            else:
                names = ("top", "hop", "batch_size", "timeline", "nothing")
                lines = [f"{k}: {json.dumps(ODD[int(rng.integers(len(ODD)))])}" for k in names]
                (folder / "x.yaml").write_bytes(mutated("\n".join(lines[:3]).encode(), rng))
                words = ["predict.py", house.model, house.song, "--config", folder / "x.yaml"]
            ended = watch(words, folder, usual=40, **env)
            part.check(case, ended)
            refused = ended.code in (1, 2)
            part.expect(case, not refused or ended.error.count("\n") == 1, ended.error[-300:])


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
    for case in range(n):
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
    truth, draw = facts(house.folder / "killed/latest"), random.Random(0)
    for case in range(n):
        shutil.rmtree(house.folder / "killed", ignore_errors=True)
        command = start_script(str(start[0]), *start[1:])
        _kill_after(command, draw.uniform(0.3, 1) * ended.seconds)
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
    truth, draw = _tree(house.folder / "drawn"), random.Random(1)
    for case in range(n):
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
    truth: Any = None
    for case in range(-2, n):
        words = train if case % 2 else render
        size = "512m" if case < 0 else f"{[40, 200, 900, 1800, 2700, 3600][case // 2 % 6]}k"
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
            truth = (truth or {}) | ({words[0]: found} if case < 0 else {})
            part.expect(f"{case} {size}", found == truth[words[0]], "another result with room")
        finally:
            subprocess.run(["umount", place], check=True)


def visitors(house: House, part: Part, n: int, send: Callable[..., None]) -> None:
    """The page under hostile visitors; nothing of theirs stays, and its log has no traceback."""
    folder = house.folder / part.name.replace(" ", "-")
    folder.mkdir()
    shutil.copy(house.song, folder / "good.wav")
    with running_page(house.model, folder / "page") as page:
        send(page, part, folder / "sent", n)
    log = page.log.read_text()
    part.expect("log", "Traceback" not in log, log[-600:])
    part.expect("log", len(log) < 1_000_000, f"{len(log)} bytes of log")
    for left in (path for path in page.tmp.rglob("*") if path.is_file()):
        part.found("leftover", "the page", left.name)


PARTS: dict[str, tuple[Callable[[House, Part, int], None], int]] = {
    "files through predict": (predict_files, 1000),
    "files through render": (render_files, 1000),
    "files through the audit": (audit_files, 1000),
    "model files": (model_files, 200),
    "tables and configs": (tables_and_configs, 50),
    "edited runs resumed": (edited_runs, 100),
    "trainings killed": (killed_trainings, 20),
    "renderings killed": (killed_renderings, 20),
    "full disks": (full_disks, 10),
    "files sent to the page": (partial(visitors, send=send_files), 1000),
    "requests to the page": (partial(visitors, send=send_requests), 2000),
}


def attack(names: list[str], scale: float = 1.0) -> int:
    """Run the parts whose names hold one of `names`, or all; the table; 1 if harm was done."""
    with tempfile.TemporaryDirectory(prefix="spectrofold-attack-") as made:
        house, parts = House.build(Path(made) / "house"), []
        for name, (run, n) in PARTS.items():
            if not names or any(word in name for word in names):
                part = Part(name)
                parts.append(part)
                run(house, part, max(2, round(n * scale)))
    print("\n| what | tried |", " | ".join(HARMS), "|")
    print("| --- " * (len(HARMS) + 2) + "|", *(part.row() for part in parts), sep="\n")
    return int(any(part.harms for part in parts))
