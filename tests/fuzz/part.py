"""What every part of the attack has: counts of harm, a small house to attack, a place to do it."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests import sounds
from tests.fuzz.watched import Ended
from tests.helpers import SHORT, TINY, start_module, start_script

HARMS = ("traceback", "hang", "memory", "program", "outside", "wrong", "leftover")
BATCH = 20  # files that a command is given at once
TRAINING = (*TINY, *SHORT, "--epochs", "3", "--verbose")
RENDERING = (*sounds.RENDER, "--jobs", "1")


@dataclass
class Part:
    """What came of one part of the attack. first: the number of its first case."""

    name: str
    first: int = 0
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
