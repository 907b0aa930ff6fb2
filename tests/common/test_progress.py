"""What a command shows while it works: in a terminal, which a pty is, and in a log."""

import os
import re
import sys
import time

import pytest

from common import progress
from common.progress import Stage, stage, time_in_words, tracked
from tests.helpers import ROOT

CHATTER = """
import sys, time, warnings
from common.progress import _display, stage, tracked
with stage("outer"):
    for i in tracked(range(12), "counting", unit="things"):
        time.sleep(0.15)
        print(f"answer {i}")
        print("half ", end=""); time.sleep(0.6 if i == 5 else 0); print("a line")
        while i == 6 and not _display.drawn: time.sleep(0.01)
        if i % 4 == 0:
            print("error: some", file=sys.stderr)
    warnings.warn("a warning")
print("the end")
"""


def test_times_are_said_as_people_say_them() -> None:
    assert [time_in_words(s) for s in (0, 8.4, 99, 170, 7800)] == [
        "0 s", "8 s", "99 s", "3 min", "2 h 10 min"
    ]  # fmt: skip


def test_the_rest_takes_as_long_as_what_is_done_took() -> None:
    one = Stage("embedding", 80, "pictures", started=0.0)
    assert one.line(9.0) == "embedding: 0 of 80 pictures"
    one.update(20)
    assert one.line(10.0) == "embedding: 20 of 80 pictures, 30 s left"
    assert Stage("testing", started=5.0).line(9.0) == "testing: 4 s"


@pytest.mark.skipif(sys.platform == "win32", reason="has no pty")
def test_live_lines_and_answers_never_share_a_line() -> None:
    from bench.silence import lines_left, watch

    env = {k: v for k, v in os.environ.items() if k != progress.SWITCH} | {"TERM": "xterm"}
    code, said = watch([sys.executable, "-c", CHATTER], env | {"PYTHONPATH": str(ROOT)})
    assert code == 0
    text = "".join(one.text for one in said)
    assert re.search(r"counting: \d+ of 12 things", text)  # it was shown meanwhile
    left = [line for line in lines_left(said) if line]
    answers = []
    for i in range(12):
        answers += [f"answer {i}", "half a line", *["error: some"] * (i % 4 == 0)]
    assert left[: len(answers)] == answers and left[-1] == "the end"
    assert not any("counting" in line or "outer" in line for line in left)


def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(progress.SWITCH)
    monkeypatch.setattr(progress, "TICK", 0.01)
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.05)
    deadline, said = time.monotonic() + 60, ""
    with stage("outer"):
        for i in tracked(range(3), "counting", unit="things"):
            while f"counting: {i} of 3 things" not in said:
                assert time.monotonic() < deadline
                time.sleep(0.01)
                said += capsys.readouterr().err
    assert "\x1b" not in said


def test_nothing_is_shown_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "TICK", 0.01)
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    with stage("outer"):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""
