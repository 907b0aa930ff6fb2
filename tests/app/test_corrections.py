"""What a visitor with the password says of a file is kept beside the model, and nothing else."""

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.corrections import Corrections
from common.files import digest_of
from data.corrections import file_of, read_corrections
from tests.browser import browser, needs_chromium
from tests.helpers import ROOT
from tests.sounds import write_sound

pytestmark = pytest.mark.slow  # whole commands, or as long as these


def test_a_correction_is_kept_with_its_file(tmp_path: Path) -> None:
    song = tmp_path / "sent" / "my song.FLAC"
    song.parent.mkdir()
    song.write_bytes(b"music")
    model = tmp_path / "run" / "model.pth"
    model.parent.mkdir()
    corrections = Corrections(model, ("jazz", "rock"), max_bytes=8)
    assert corrections.summary() == "No corrections yet."
    corrections.add(str(song), "jazz", "anna")
    corrections.add(str(song), "rock", "bert")  # the same file again: one copy, the last word
    digest = digest_of(song)
    song.unlink()  # as the page does after some minutes
    (kept,) = read_corrections(model.with_name("corrections.csv"))
    assert (kept.label, kept.by, kept.digest) == ("rock", "bert", digest)
    assert file_of(kept, corrections.table).read_bytes() == b"music"
    assert file_of(kept, corrections.table).suffix == ".flac"
    assert corrections.summary().startswith("1 correction waits")


def test_what_is_no_class_or_has_no_room_is_refused(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    song.write_bytes(b"more music")
    corrections = Corrections(tmp_path / "model.pth", ("jazz", "rock"), max_bytes=8)
    for label in ("polka", None, ""):
        with pytest.raises(ValueError, match="choose one of the model's classes"):
            corrections.add(str(song), label, "anna")
    with pytest.raises(ValueError, match="no room for more corrections"):
        corrections.add(str(song), "jazz", "anna")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["song.wav"]


@needs_chromium
def test_a_visitor_with_the_password_corrects_an_answer(heard: Path, tmp_path: Path) -> None:
    model = tmp_path / "run" / "model.pth"
    model.parent.mkdir()
    shutil.copy(heard / "model.pth", model)
    song = write_sound(tmp_path / "song.wav", "low", 3, 5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "app", str(model), "--port", port, "--auth", "anna:secret"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as page:
        assert page.stdout is not None
        url = page.stdout.readline().split()[0]
        try:
            with browser() as opened:
                tab = opened.new_page()
                tab.goto(url)
                tab.get_by_label("username").fill("anna")
                tab.get_by_label("password").fill("secret")
                tab.get_by_role("button", name="Login").click()
                tab.locator("#file input[type=file]").set_input_files(song, timeout=30_000)
                tab.locator("#answer .player").wait_for(timeout=30_000)
                tab.get_by_role("button", name="This answer is wrong").click()
                assert tab.locator("#waiting").inner_text() == "No corrections yet."
                tab.get_by_label("It is really").click()
                tab.get_by_role("option", name="high").click()
                tab.get_by_role("button", name="Correct it").click()
                tab.get_by_text("Noted: high. 1 correction waits").wait_for(timeout=15_000)
        finally:
            page.send_signal(signal.SIGTERM)
    (said,) = read_corrections(model.with_name("corrections.csv"))
    assert (said.label, said.by, said.digest) == ("high", "anna", digest_of(song))
    assert file_of(said, model.with_name("corrections.csv")).read_bytes() == song.read_bytes()
