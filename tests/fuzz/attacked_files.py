"""Files of strangers through the commands: recordings, pictures, model files, tables, options."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from common.files import digest_of
from tests.fuzz.cases import ODD, mutated
from tests.fuzz.hostile_files import write_hostile
from tests.fuzz.part import BATCH, RENDERING, TRAINING, House, Part, scratch
from tests.fuzz.runner import Finding, Fuzzer
from tests.fuzz.watched import Ended, watch


def predict_files(house: House, part: Part, n: int) -> None:
    """Hostile files through predict, each batch with a good one behind it."""
    (good,) = json.loads(_predicted(house, [house.song]).said)
    for first in range(part.first, part.first + n, BATCH):
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
    for first in range(part.first, part.first + n, BATCH):
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
    for first in range(part.first, part.first + n, BATCH):
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
        for result in fuzzer.fuzz(kind, 3600, first=1000 + part.first, most=n // 2):
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
    for case in range(part.first, part.first + n):
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
