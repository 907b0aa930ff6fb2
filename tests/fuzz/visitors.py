"""Hostile visitors of the page: files of ten kinds, and requests of ten kinds by number."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from tests.fuzz.cases import ODD, mutated
from tests.fuzz.hostile_files import write_hostile
from tests.fuzz.part import House, Part
from tests.fuzz.watched import MAX_MEGABYTES, MAX_SECONDS, Ended
from tests.helpers import ROOT

SECRET = b"root:x:0:"  # of /etc/passwd
GOOD_EVERY = 100  # requests between two good ones


@dataclass
class Page:
    """A running page. megabytes: what its processes had when it was ready."""

    port: int
    process: psutil.Process
    log: Path
    tmp: Path
    megabytes: float = 0.0

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.port}/gradio_api"

    def memory(self) -> float:
        """The megabytes of all its processes together."""
        found = 0.0
        for one in [self.process, *self.process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                found += one.memory_info().rss / 1e6
        return found

    def classify(self, file: Path) -> str:
        """What the API answers for a file, as a person with curl asks: upload, call, result."""
        with httpx.Client(timeout=MAX_SECONDS + 10) as client:
            with file.open("rb") as content:
                name = os.fsencode(file.name).decode(errors="replace")  # as a browser sends it
                sent = client.post(f"{self.url}/upload", files={"files": (name, content)})
            if sent.status_code != 200:
                return f"refused: {sent.status_code}"
            asked = {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}
            event = client.post(f"{self.url}/call/classify", json={"data": [asked]}).json()
            return client.get(f"{self.url}/call/classify/{event['event_id']}").text


@contextmanager
def running_page(model: Path, folder: Path) -> Iterator[Page]:
    """The page of a model as a visitor finds it; told to end when the block does."""
    folder.mkdir()
    (tmp := folder / "tmp").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", str(model), "--port", str(port)]
    command += ["--max-minutes", "0.5", "--max-mb", "20"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
            env=os.environ | {"TMPDIR": str(tmp)},
        )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert "127.0.0.1" in process.stdout.readline(), (folder / "log").read_text()
        try:
            yield Page(port, psutil.Process(process.pid), folder / "log", tmp)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def answer_of(text: str) -> tuple[str, float]:
    """(class, probability) of an answer; ("", 0) of an error."""
    if not text.startswith("event: complete\n"):
        return "", 0.0
    first = json.loads(text.split("data: ")[1].splitlines()[0])[0]
    return str(first["class"]), round(float(first["probability"]), 3)


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


def visit(page: Page, part: Part, good: Path, n: int, case: Any) -> None:
    """Call case(i) for i below n; every now and then the good file is answered as before."""
    truth = answer_of(page.classify(good))
    assert truth[0], page.log.read_text()
    page.megabytes = page.memory()
    for i in range(part.first, part.first + n):
        started = time.monotonic()
        case(i)
        part.tried += 1
        seconds = time.monotonic() - started
        ended = Ended(0, "", "", seconds, page.memory() - page.megabytes - MAX_MEGABYTES / 2)
        part.check(i, ended)  # half of it is what two decoders may take
        if seconds > MAX_SECONDS:
            part.found("hang", i, f"{seconds:.0f} s")
        if i % GOOD_EVERY == GOOD_EVERY - 1 or i == part.first + n - 1:
            started = time.monotonic()
            part.expect(i, answer_of(page.classify(good)) == truth, "the good file")
            if (seconds := time.monotonic() - started) > 5:
                part.found("hang", i, f"the good file after it took {seconds:.1f} s")


def send_files(page: Page, part: Part, folder: Path, n: int) -> None:
    """Upload hostile files and ask about them."""
    folder.mkdir()

    def case(i: int) -> None:
        file = write_hostile(folder, i)
        if file.is_file() and file.stat().st_size < 2**30 and SECRET not in _start(file):
            text = page.classify(file)
            known = text.startswith(("event: complete", "event: error", "refused: 4"))
            part.expect(i, known, text[:300])
        if file.is_dir():
            file.rmdir()
        else:
            file.unlink()

    visit(page, part, folder.parent / "good.wav", n, case)


def _start(file: Path) -> bytes:
    if file.is_fifo() or file.is_char_device():
        return SECRET
    with file.open("rb") as content:
        return content.read(1000)


def send_requests(page: Page, part: Part, folder: Path, n: int) -> None:
    """Bytes that no browser sends; the reply never has a file of this computer."""

    def case(i: int) -> None:
        reply = _reply(page.port, request_of(i, page.port))
        part.expect(i, SECRET not in reply and b"Traceback" not in reply, repr(reply[:300]))

    visit(page, part, folder.parent / "good.wav", n, case)


def _reply(port: int, content: bytes) -> bytes:
    """What the page answers to these bytes within a second, or before it hangs up."""
    reply, end = b"", time.monotonic() + 1
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as line:
        line.settimeout(0.5)
        line.sendall(content)
        while time.monotonic() < end and (part := line.recv(2**16)):
            reply += part
    return reply


def request_of(number: int, port: int) -> bytes:
    """A request by number: its kind is that modulo ten, its seed the rest."""
    rng = np.random.default_rng([number])
    host = f"127.0.0.1:{port}"
    odd = ODD[int(rng.integers(len(ODD)))]
    paths = (
        "/etc/passwd",
        "../../../../etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:22/",
        "//etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "/proc/self/environ",
        "a\0b",
        "",
    )
    path = str(rng.choice(paths))
    file = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}, "size": odd}
    data = [file, [file], {"data": file}, odd, [odd] * 50, {"path": odd}][int(rng.integers(6))]
    body = json.dumps({"data": [data], "fn_index": int(rng.integers(-2, 9)), "session_hash": "x"})
    call = str(rng.choice(["call/classify", "call/classify_many", "run/classify", "queue/join",
                           "api/predict", "call/nothing", "reset", "heartbeat/x"]))  # fmt: skip
    kind = number % 10
    if kind == 0:
        target = str(rng.choice(["/file=", "/gradio_api/file=", "/static/", "/assets/", "/theme/",
                                 "/gradio_api/proxy=", "/custom_component/"]))  # fmt: skip
        return _http("GET", target + path.replace("\0", "%00"), host)
    if kind == 1:
        other = str(rng.choice(["evil.example", "", "[::", "a b"]))
        return _http("POST", f"/gradio_api/{call}", other, body)
    if kind == 2:
        return _http("POST", f"/gradio_api/{call}", host, body, Origin="http://evil.example")
    if kind == 3:
        return _http("POST", f"/gradio_api/{call}", host, mutated(body.encode(), rng))
    if kind == 4:
        return _http("POST", f"/gradio_api/{call}", host, body)
    if kind == 5:
        deep = "[" * int(rng.integers(1, 100_000))
        return _http("POST", f"/gradio_api/{call}", host, deep)
    if kind == 6:
        form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n' % (
            path.encode()
        )
        content = mutated(form + rng.bytes(500) + b"\r\n--x--\r\n", rng)
        return _http("POST", "/gradio_api/upload", host, content,
                     **{"Content-Type": "multipart/form-data; boundary=x"})  # fmt: skip
    if kind == 7:
        whole = _http("POST", "/gradio_api/upload", host, b"x" * 500)
        return whole[: int(rng.integers(len(whole)))]
    if kind == 8:
        return _http(str(rng.choice(["PUT", "DELETE", "TRACE", "OPTIONS", "X" * 9000, "PROPFIND"])),
                     "/" + "a" * int(rng.integers(1, 70_000)), host, Cookie="x" * 9000)  # fmt: skip
    return mutated(_http("POST", f"/gradio_api/{call}", host, body), rng)


def _http(method: str, target: str, host: str, body: str | bytes = b"", **headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    told = {"Host": host, "Content-Type": "application/json", "Content-Length": str(len(content)),
            "Connection": "close"} | headers  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + content
