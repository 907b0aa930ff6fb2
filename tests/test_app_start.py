"""python -m app: wrong use is one line, and what visitors sent does not stay."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--host", "0.0.0.0"], 2, "add --auth USER:PASSWORD"),
        (["--share"], 2, "add --auth USER:PASSWORD"),
        (["--auth", "me"], 2, "expected USER:PASSWORD"),
        (["--max-files", "0"], 2, "--max-files 0"),
        ([], 1, "no model file at nothing.pth"),
    ],
)
def test_wrong_use_is_one_line(options: list[str], code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "nothing.pth", *options],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_lay_long_enough_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import app.__main__ as main

    example, old = tmp_path / "example.png", tmp_path / "sent" / "old.wav"
    old.parent.mkdir()
    for file in (example, old):
        file.write_bytes(b"x")
    rounds = iter([None, None])

    def sleep(_: float) -> None:
        if next(rounds, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr(main.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        main.sweep(tmp_path, 3600, {example})
    assert old.exists()
    rounds = iter([None, None])
    with pytest.raises(KeyboardInterrupt):
        main.sweep(tmp_path, -1, {example})
    assert example.exists()
    assert not old.parent.exists()
