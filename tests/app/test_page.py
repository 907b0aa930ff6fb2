"""The page in Debian's chromium and its HTTP API, on a model that knows high from low notes."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import expect

from tests.browser import axe_program, browser, needs_chromium, violations
from tests.damage import damaged
from tests.helpers import ROOT
from tests.sounds import write_sound
from train.models import model_file

pytestmark = pytest.mark.slow  # whole commands, or as long as these

# A class whose name would run in a page that does not escape it.
LOW = 'low <img src=x onerror="hacked=1">'
# Runs `python -m app` where connecting to another computer is an error that is written down.
GUARDED = """
import runpy, socket, sys
log = sys.argv.pop(1)
real = socket.socket.connect
def connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        with open(log, "a") as file: print(address, file=file)
        raise OSError("no network in this test")
    return real(self, address)
socket.socket.connect = connect
sys.argv[0] = "app"
runpy.run_module("app", run_name="__main__", alter_sys=True)
"""


class Page(NamedTuple):
    """A running page: its address, the folder for temporary files, and who it tried to reach."""

    url: str
    folder: Path
    reached: Path


@pytest.fixture(scope="module")
def page(heard: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    facts, weights = model_file.read(heard / "model.pth")
    model_file.save(folder / "model.pth", weights, replace(facts, classes=("high", LOW)))
    command = [sys.executable, "-c", GUARDED, folder / "reached", folder / "model.pth"]
    command += ["--port", str(port), "--max-minutes", "0.5", "--max-mb", "20"]
    (folder / "tmp").mkdir()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"TMPDIR": str(folder / "tmp")},
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        with process:
            assert process.stdout is not None
            assert "127.0.0.1" in process.stdout.readline(), (folder / "log").read_text()
            yield Page(f"http://127.0.0.1:{port}", folder / "tmp", folder / "reached")
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    left = [path for path in (folder / "tmp").rglob("*") if path.is_file()]
    assert left == []  # of what visitors sent
    said = (folder / "log").read_text()
    assert "Traceback" not in said and "Warning" not in said, said


@pytest.fixture(scope="module")
def client(page: Page) -> Any:
    from gradio_client import Client

    return Client(page.url, verbose=False)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("songs")
    return {
        n: write_sound(folder / f"{n[:4].strip()}.wav", n[:4].strip(), 3, 9) for n in ("high", LOW)
    }


def classify(client: Any, file: Path) -> Any:
    from gradio_client import handle_file

    for _ in range(2):
        # The client ends its one stream after the last answer, at times just as a thread asks anew.
        with suppress(CancelledError):
            return client.predict(handle_file(str(file)), api_name="/classify")
    return client.predict(handle_file(str(file)), api_name="/classify")


def test_the_api_answers_as_the_command(page: Page, client: Any, songs: dict[str, Path]) -> None:
    for label, song in songs.items():
        answer = classify(client, song)
        assert (answer["class"], answer["file"]) == (label, song.name)
        assert answer["seconds"] == 3
        assert len(answer["timeline"]) == 5


def test_the_api_makes_a_table(client: Any, songs: dict[str, Path], tmp_path: Path) -> None:
    from gradio_client import handle_file

    (tmp_path / "bad.mp3").write_bytes(b"no music")
    files = [handle_file(str(file)) for file in (*songs.values(), tmp_path / "bad.mp3")]
    table, file = client.predict(files, api_name="/classify_many")
    assert [row[:3] for row in table["data"]] == [
        ["high.wav", "high", "high"], ["low.wav", LOW, LOW], ["bad.mp3", "no answer", ""],
    ]  # fmt: skip
    assert "neither a picture nor a recording" in table["data"][2][5]
    path = file["value"] if isinstance(file, dict) else file
    with Path(path).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["class"] for row in rows] == ["high", LOW, ""]
    assert "neither a picture nor a recording" in rows[2]["remark"]
    assert float(rows[0]["high"]) > 0.5


def test_the_api_answers_curl(page: Page, songs: dict[str, Path]) -> None:
    """The three requests of the README, made without Gradio's client."""
    sent = subprocess.run(
        ["curl", "-sS", "-F", f"files=@{songs[LOW]}", f"{page.url}/gradio_api/upload"],
        capture_output=True, check=True,
    )  # fmt: skip
    file = {"path": json.loads(sent.stdout)[0], "meta": {"_type": "gradio.FileData"}}
    request = urllib.request.Request(
        f"{page.url}/gradio_api/call/classify", json.dumps({"data": [file]}).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=30) as reply:
        event = json.loads(reply.read())["event_id"]
    with urllib.request.urlopen(f"{request.full_url}/{event}", timeout=30) as reply:
        text = reply.read().decode()
    assert text.startswith("event: complete\n")
    assert json.loads(text.split("data: ")[1].splitlines()[0])[0]["class"] == LOW


def ask(page: Page, data: Any, endpoint: str = "classify") -> str:
    """What the API says to a request that Gradio's client would not make."""
    url, head = f"{page.url}/gradio_api/call/{endpoint}", {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps({"data": data}).encode(), head)
    with urllib.request.urlopen(request, timeout=30) as reply:
        event = json.loads(reply.read())["event_id"]
    with urllib.request.urlopen(f"{url}/{event}", timeout=30) as reply:
        return str(reply.read().decode())


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../../../etc/passwd", "file:///etc/passwd", ROOT / "README.md",
     ROOT / "subsampled_data/tracks.csv", "{folder}/../model.pth"],
)  # fmt: skip
def test_files_of_the_server_are_refused(page: Page, path: object) -> None:
    name = str(path).format(folder=page.folder)
    file = {"path": name, "meta": {"_type": "gradio.FileData"}}
    assert ask(page, [file]).startswith("event: error")
    assert ask(page, [[file]], "classify_many").startswith("event: error")
    with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
        urllib.request.urlopen(f"{page.url}/gradio_api/file={name}", timeout=30)


@pytest.mark.parametrize("data", [[5], [], [{"path": 5}], [[[]]], [None, None], ["x"]])
def test_data_of_another_shape_are_refused(page: Page, data: list[Any]) -> None:
    """The examples' own function is Gradio's; neither leaves a traceback in the log (`page`)."""
    assert ask(page, data).startswith("event: error")
    ask(page, data, "load_example")


def test_an_address_is_not_fetched(page: Page) -> None:
    """The server's own network, or a file of any size, would be at the visitor's command."""
    file = {"path": "https://192.0.2.1/x.png", "meta": {"_type": "gradio.FileData"}}
    assert "send the file itself" in ask(page, [file])
    assert "send the file itself" in ask(page, [[file]], "classify_many")


def test_a_name_does_not_lead_out_of_the_folder(page: Page) -> None:
    form = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="../../../evil.wav"\r\n'
        b"\r\nno music\r\n--x--\r\n"
    )
    head = {"Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(f"{page.url}/gradio_api/upload", form, head)
    with urllib.request.urlopen(request, timeout=30) as reply:
        (path,) = json.loads(reply.read())
    assert Path(path).resolve().is_relative_to(page.folder.resolve())
    assert Path(path).name == "evil.wav"


def test_the_api_is_documented(client: Any) -> None:
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(endpoints) == ["/classify", "/classify_many"]
    assert all(endpoint["description"] for endpoint in endpoints.values())


def test_limits_are_said_in_words(page: Page, client: Any, tmp_path: Path) -> None:
    from gradio_client.exceptions import AppError

    long = write_sound(tmp_path / "long.flac", "low", 40, 1)
    with pytest.raises(AppError, match=r"long\.flac: longer than 0:30"):
        classify(client, long)
    big = tmp_path / "big.wav"
    big.write_bytes(bytes(21_000_000))
    with pytest.raises(Exception, match="exceeds the maximum file size"):
        classify(client, big)


def test_200_damaged_files_get_an_answer_in_words(
    page: Page, client: Any, songs: dict[str, Path], tmp_path: Path
) -> None:
    from gradio_client.exceptions import AppError

    def attempt(file: Path) -> str:
        started = time.monotonic()
        try:
            classify(client, file)
        except AppError as error:
            assert file.name in str(error)
            assert str(page.folder) not in str(error)
            assert "Traceback" not in str(error)
        return f"{file.name} took too long" if time.monotonic() - started > 10 else ""

    sources = [write_sound(tmp_path / f"s{x}", "low", 3, 1) for x in (".flac", ".ogg", ".mp3")]
    sources += [songs["high"], min((ROOT / "subsampled_data").rglob("*.png"))]
    files = damaged(sources, tmp_path, 200)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(attempt, files)) == {""}
    assert classify(client, songs["high"])["class"] == "high"


def test_fifty_requests_at_once_are_all_answered(client: Any, songs: dict[str, Path]) -> None:
    wanted = ["high", LOW] * 25
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda label: classify(client, songs[label])["class"], wanted))
    assert answers == wanted


@needs_chromium
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)], ids=["desk", "phone"])
def test_a_visit(
    page: Page, songs: dict[str, Path], width: int, height: int, tmp_path: Path
) -> None:
    asked: list[str] = []  # addresses, of any method but GET first

    def only_here(route: Any) -> None:
        asked.append(f"{route.request.method} {route.request.url}")
        here = route.request.url.startswith((page.url, "data:", "blob:"))
        route.continue_() if here else route.abort()

    axe = axe_program(tmp_path)
    with browser() as opened:
        tab = opened.new_page(viewport={"width": width, "height": height})
        tab.set_default_timeout(30_000)
        tab.route("**/*", only_here)
        complaints: list[str] = []
        tab.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        tab.goto(page.url)
        tab.locator("#file").wait_for()
        assert violations(tab, axe) == []
        listen(tab, write_sound(tmp_path / "low.wav", "low", 20, 9), asked)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        look(tab, min((ROOT / "subsampled_data").rglob("*.png")))
        assert violations(tab, axe) == []
        (tmp_path / "bad.mp3").write_bytes(b"no music")
        more = [shutil.copy(songs["high"], tmp_path / f"{n}.wav") for n in range(10, 27)]
        tabulate(tab, [*songs.values(), *map(Path, more), tmp_path / "bad.mp3"])
        assert violations(tab, axe) == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        name = "<img src=x onerror=hacked=1>.mp3"
        garbage = {"name": name, "mimeType": "", "buffer": b"no music"}
        tab.locator("#files").get_by_role("button", name="Clear").click()
        tab.locator("#files input[type=file]").set_input_files([garbage, garbage])
        rows = tab.locator("#table tbody tr")
        expect(rows).to_have_text(
            [re.compile("img src.*neither a picture nor")] * 2, timeout=30_000
        )
        assert tab.evaluate("typeof hacked") == "undefined"
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
    ours = (page.url, "data:", "blob:")
    assert [line for line in asked if not line.split(" ", 1)[1].startswith(ours)] == []


def listen(tab: Any, song: Path, asked: list[str]) -> None:
    """Have low notes of 20 s answered, hear their middle, and see what Grad-CAM shows."""
    tab.locator("#file input[type=file]").set_input_files(song)
    expect(tab.locator("#answer h2")).to_contain_text(f"certainly {LOW}", timeout=30_000)
    audio = tab.locator("#answer audio")
    expect(audio).to_have_js_property("duration", 20)  # read, and so ready to play
    before = [line for line in asked if line.startswith("POST")]
    seek = tab.locator("#answer .track input")
    box = seek.bounding_box()
    seek.click(position={"x": 0.55 * box["width"], "y": 0.5 * box["height"]})
    expect(tab.locator("#answer .now")).to_have_text(
        re.compile(rf"^0:1[1-9]\s+{re.escape(LOW)} \(\d+ %\)$")
    )
    expect(audio).to_have_js_property("paused", False)
    audio.evaluate("audio => audio.pause()")
    # Nobody was asked what is heard there.
    assert [line for line in asked if line.startswith("POST")] == before
    tab.locator("#explain").click()
    expect(tab.locator("#heat img")).to_be_visible(timeout=30_000)
    tab.get_by_text("Clip by clip").click()
    expect(tab.locator("#clips")).to_contain_text("0:01")


def look(tab: Any, picture: Path) -> None:
    """Have a picture answered after a song."""
    tab.get_by_role("button", name="Clear").first.click()
    tab.locator("#file input[type=file]").set_input_files(picture)
    expect(tab.locator("#answer h2")).not_to_have_text("", timeout=30_000)
    expect(tab.locator("#answer .drawn > img")).to_be_visible()
    expect(tab.locator("#answer audio")).to_have_count(0)


def tabulate(tab: Any, files: list[Path]) -> None:
    """Have files answered, the last of which is none; sort, filter and download their table."""
    tab.get_by_role("tab", name="Several files").click()
    tab.locator("#files input[type=file]").set_input_files(files)
    shown = tab.locator("#table tbody tr:visible td:first-child")
    names = [file.name for file in files]
    assert len(names) == 20 and names[-1] == "bad.mp3"
    expect(shown).to_have_text(names, timeout=30_000)
    tab.get_by_role("button", name="file", exact=True).click()
    expect(shown).to_have_text(sorted(names))
    tab.locator("#table input").fill("neither a picture")
    expect(shown).to_have_text(["bad.mp3"])
    with tab.expect_download() as download:
        tab.locator("#download").click()
    with download.value.path().open(newline="") as rows:
        assert [row["class"] for row in csv.DictReader(rows)] == ["high", LOW, *["high"] * 17, ""]


def test_the_server_reached_nobody(page: Page) -> None:
    """Last in this file: neither starting nor all of the above asked another computer."""
    assert not page.reached.exists()
