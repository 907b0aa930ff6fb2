"""What inputs stand for, and inputs that are no files, or never end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference import inputs
from inference.predictor import Predictor
from tests.app.test_limits import Undecided
from tests.helpers import ROOT, facts_of_pictures

READ = """
import sys, time
from inference import inputs
inputs.MAX_STDIN = int(sys.argv[1])
with inputs.standard_input_as_file(["-"]) as file:
    print(file, flush=True)
    for _ in range(600):  # a signal just before one long sleep would wait for its end
        time.sleep(0.1)
"""


def reasons(paths: list[str]) -> list[str]:
    predictor = Predictor(facts_of_pictures(64, 32), Undecided())
    return [getattr(result, "reason", "answered") for result in predictor.predict(paths)]


def test_what_is_no_file_is_said_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.mp3").symlink_to(tmp_path / "loop.mp3")
    names = [str(tmp_path / name) for name in ("pipe.png", "loop.mp3", "gone.wav", ".")]
    names.append("/dev/zero")
    started = time.monotonic()
    found = reasons(names)
    assert time.monotonic() - started < 5
    ends = ["a device or a pipe", "Too many levels of symbolic links", "no such file", "a folder"]
    for path, reason, end in zip(names, found, [*ends, "a device or a pipe"], strict=True):
        assert reason.startswith(f"{path}: {end}")


def test_a_name_that_no_file_can_have_is_said() -> None:
    assert "null" in reasons(["a\0b.png"])[0]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_standard_input_leaves_nothing_behind(tmp_path: Path, end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READ, "1000"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"x" * 1000)
        process.stdin.close()
        file = Path(process.stdout.readline().decode().strip())
        assert file.stat().st_size == 1000
        process.send_signal(end)
        assert process.wait(20) not in (0, -signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_standard_input_has_a_limit(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ, "999"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        input=b"x" * 1000,
        capture_output=True,
        check=False,
    )
    assert b"-: more than 999 bytes" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_among_others_is_passed_over_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    given = [f"{tmp_path}/empty", f"{tmp_path}/a.png"]
    assert inputs.expand(given) == given[1:]
    assert capsys.readouterr().err == f"note: {given[0]}: no pictures or recordings there\n"
    assert inputs.expand([]) == []  # standard input alone
    with pytest.raises(ValueError, match="no pictures or recordings in"):
        inputs.expand([f"{tmp_path}/empty", f"{tmp_path}/*.wav"])


def test_a_pattern_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures or recordings there"):
        inputs.expand([f"{tmp_path}/*.png"])
