"""What the page refuses before it looks at a request, and what it tells browsers."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app import guard as guards
from app.config import ServeConfig
from app.guard import Guard, Refused, allows_host, check_json, own_names, password_check
from app.server import LOCK, own_folder, remove_leftovers
from tests.helpers import ROOT

HERE = "http://127.0.0.1:7860"
NAMES = own_names(["music.example"], shared=True)


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a guarded application that answers with what it is sent."""
    behind = Starlette(routes=[Route("/", _echo, methods=["GET", "POST"])])
    guard = Guard(behind, NAMES, tmp_path, 10_000)
    with TestClient(guard, base_url=HERE) as made:  # type: ignore[arg-type]
        yield made


def test_json_that_nobody_expected_is_refused_with_a_line_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def failing(*_: object) -> None:
        raise KeyError("\x1b-1")

    client = TestClient(Guard(failing, NAMES, tmp_path, 10_000), base_url=HERE)  # type: ignore[arg-type]
    assert client.post("/\u202equeue", json=[]).status_code == 400
    said = capsys.readouterr().err
    assert said.startswith("no answer to POST /\\u202equeue: KeyError(") and said.count("\n") == 1
    assert "\x1b" not in said


def test_an_answer_tells_browsers_to_stay_here(client: TestClient) -> None:
    headers = client.get("/").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:7860", True), ("[::1]:7860", True), ("192.168.1.5:7860", True),
        ("localhost:7860", True), ("MUSIC.example.", True), ("x.gradio.live", True),
        ("evil.example:7860", False), ("127.0.0.1.evil.example", False), ("", False),
        ("music.example.evil.example", False), ("gradio.live", False),
    ],
)  # fmt: skip
def test_a_name_that_is_not_ours_is_refused(client: TestClient, host: str, known: bool) -> None:
    """DNS rebinding: a stranger's name that leads here, and so the same origin as this page."""
    assert allows_host(host, NAMES) == known
    if host:
        answer = client.post("/", content=b"x", headers={"host": host, "origin": f"http://{host}"})
        assert answer.status_code == (200 if known else 421)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": HERE}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
    ],
)
def test_other_pages_are_refused(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/", content=b"x", headers=headers).status_code == status
    assert client.get("/", headers=headers).status_code == status


def test_a_link_from_another_page_opens_this_one(client: TestClient) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200


def test_content_is_bounded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "MAX_JSON", 100)
    assert client.post("/", content=b"x" * 100).text == "x" * 100
    assert client.post("/", content=b"x" * 101).status_code == 413
    assert client.post("/", content=iter([b"x"])).status_code == 411  # of unknown length


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff", b'{"a": }'])
def test_what_is_no_json_is_refused(client: TestClient, body: bytes) -> None:
    with pytest.raises(Refused, match="no JSON"):
        check_json(body)
    head = {"content-type": "application/json"}
    assert client.post("/", content=body, headers=head).status_code == 400


def test_uploads_wait_for_room(client: TestClient, tmp_path: Path) -> None:
    head = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/", content=b"x" * 5000, headers=head).status_code == 200
    (tmp_path / "lies here").write_bytes(bytes(6000))
    full = client.post("/", content=b"x" * 5000, headers=head)
    assert full.status_code == 503
    assert "too many files are waiting" in full.text
    (tmp_path / "lies here").unlink()
    assert client.post("/", content=b"x" * 5000, headers=head).status_code == 200


def _sent(content: list[bytes], monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    """The status for an upload of which only `content` of 1000 bytes ever arrives."""
    monkeypatch.setattr(guards, "SILENT_SECONDS", 0.2)
    parts, statuses = list(content), list[int]()

    async def receive() -> guards.Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(0), "more_body": True}
        await asyncio.sleep(60)
        raise AssertionError("waited for a minute")

    async def send(message: guards.Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def behind(scope: guards.Scope, receive: guards.Receive, send: guards.Send) -> None:
        while (await receive()).get("more_body"):
            pass

    head = [(b"host", b"localhost"), (b"content-length", b"1000")]
    head.append((b"content-type", b"multipart/form-data; boundary=x"))
    scope = {"type": "http", "method": "POST", "headers": head}
    asyncio.run(Guard(behind, frozenset({"localhost"}), folder, 10_000)(scope, receive, send))
    return statuses[0]


def test_half_an_upload_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started = time.monotonic()
    assert _sent([], monkeypatch, tmp_path) == 408
    assert _sent([b"x" * 500], monkeypatch, tmp_path) == 408
    assert time.monotonic() - started < 5


def test_wrong_passwords_take_time_and_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guards, "GUESS_SECONDS", 0.3)
    check = password_check("me", "secret")

    async def attempts(n: int) -> list[bool]:
        return list(await asyncio.gather(*(check("me\x1b[2J", str(i)) for i in range(n))))

    started = time.monotonic()
    assert asyncio.run(attempts(1000)) == [False] * 1000
    assert time.monotonic() - started >= 0.3
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["wrong password for me\\u001b[2J"] * guards.MAX_GUESSES  # the others: unread
    assert asyncio.run(check("me", "secret"))


def test_the_password_can_come_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "auth"
    file.write_text("me:a:b\nmore\n")
    assert ServeConfig(host="0.0.0.0", auth_file=str(file)).user_and_password() == ("me", "a:b")
    file.write_text("nobody\n")
    with pytest.raises(ValueError, match="expected USER:PASSWORD"):
        ServeConfig(auth_file=str(file)).user_and_password()
    monkeypatch.setenv("SPECTROFOLD_AUTH", "you:c")
    assert ServeConfig(host="0.0.0.0").user_and_password() == ("you", "c")
    assert ServeConfig(host="0.0.0.0", auth="none").user_and_password() is None


def test_what_a_killed_page_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    """The folder of a page that runs, and what is not a page's, stay."""
    code = (
        "import sys, tempfile, time; tempfile.tempdir = sys.argv[1]\n"
        "from app.server import own_folder\n"
        "with own_folder() as folder:\n  (folder / 'sent.wav').touch()\n"
        "  print(folder, flush=True)\n  time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        remove_leftovers(tmp_path)
        assert (left / "sent.wav").exists()
        process.send_signal(signal.SIGKILL)
    other = tmp_path / "spectrofold-page-of nobody"
    other.mkdir()
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [other.name]


def test_a_pages_own_folder_is_gone_in_the_end() -> None:
    with own_folder() as folder:
        assert (folder / LOCK).exists()
    assert not folder.exists()


def test_a_connection_without_a_request_is_ended(tmp_path: Path) -> None:
    """300 connections that send a header now and then would keep every other visitor out."""
    code = """
import asyncio, uvicorn
from app.guard import patient
async def app(scope, receive, send):
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"here"}})
config = uvicorn.Config(app, fd=int({fd}), log_level="error", lifespan="off")
config.load()
config.http_protocol_class = patient(config.http_protocol_class, 0.5, 20)
uvicorn.Server(config).run()
"""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        os.set_inheritable(listening.fileno(), True)
        with subprocess.Popen(
            [sys.executable, "-c", code.format(fd=listening.fileno())], cwd=ROOT, close_fds=False
        ) as process:
            address = listening.getsockname()
            slow = [socket.create_connection(address) for _ in range(30)]
            for one in slow:
                one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for one in slow:
                one.settimeout(10)
                with contextlib.suppress(ConnectionResetError):
                    assert one.recv(1000) == b""
                one.close()
            with socket.create_connection(address) as good:
                good.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                good.settimeout(10)
                assert good.recv(1000).startswith(b"HTTP/1.1 200")
            process.terminate()
