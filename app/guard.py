"""What stands before the page: who may ask, how much, for how long, and what browsers are told."""

import asyncio
import hmac
import ipaddress
import json
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.text import printable

Message = Mapping[str, Any]
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_JSON = 1_000_000  # bytes of a request that is no upload
MAX_UPLOADS = 8  # that arrive side by side
SILENT_SECONDS = 20.0  # for which a client may send nothing of what it has announced
LEAST_RATE = 20_000  # bytes per second of an upload, on average
MAX_FILES = 2000  # that lie in the folder at a time
MAX_GUESSES = 4  # wrong passwords that wait for their answer at a time
GUESS_SECONDS = 2.0
SHARED = ".gradio.live"
# Gradio's page is made of scripts and styles within its HTML; all else is the server's own.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Refused(Exception):
    """A request that is answered with a status and a line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status, self.line = status, line


@dataclass
class Guard:
    """An ASGI application before another, `app`.

    hosts: names under which the page may be asked for, see `allows_host`; folder: where uploads
    lie; max_bytes: of all files in it, those that are being sent included.
    """

    app: App
    hosts: frozenset[str]
    folder: Path
    max_bytes: int
    _sending: dict[int, int] = field(default_factory=dict)  # bytes announced by running uploads
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_UPLOADS))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on and add headers to its answer."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            raise RuntimeError(f"the page has no {scope['type']} connections")
        client = _Client(receive, send)
        try:
            await self._checked(scope, client)
        except Refused as refused:
            await client.refuse(refused)
        except Exception as error:
            # An answer to somebody who has left, or who never sent all of it, is nobody's matter.
            if not client.gone:  # JSON that Gradio did not expect, such as an unknown fn_index
                asked = printable(f"{scope['method']} {scope['path']}")[:200]
                print(f"no answer to {asked}: {printable(repr(error))[:200]}", file=sys.stderr)
                await client.refuse(Refused(400, "no request that this page can answer"))

    async def _checked(self, scope: Scope, client: "_Client") -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        check_origin(headers, self.hosts)
        if scope["method"] not in ("POST", "PUT", "PATCH", "DELETE"):
            return await self.app(scope, client.receive, client.send)
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            raise Refused(411, "send the length of the content in advance")
        if headers.get("content-type", "").lower().startswith("multipart/"):
            return await self._upload(scope, client, int(length))
        if int(length) > MAX_JSON:
            raise Refused(413, f"more than {MAX_JSON} bytes that are no upload")
        body = await client.body(int(length))
        if "json" in headers.get("content-type", "").lower():
            check_json(body)
        await self.app(scope, client.replay(body), client.send)

    async def _upload(self, scope: Scope, client: "_Client", length: int) -> None:
        """Hand on an upload when there is room for it, and see that it arrives."""
        try:
            await asyncio.wait_for(self._places.acquire(), SILENT_SECONDS)
        except asyncio.TimeoutError:
            raise Refused(503, "too many files are being sent; try again in a minute") from None
        try:
            await self._upload_now(scope, client, length)
        finally:
            self._places.release()

    async def _upload_now(self, scope: Scope, client: "_Client", length: int) -> None:
        lying = [size for size in map(_size, self.folder.rglob("*")) if size is not None]
        if (
            len(lying) > MAX_FILES
            or sum(lying) + sum(self._sending.values()) + length > self.max_bytes
        ):
            raise Refused(503, "too many files are waiting here; try again in some minutes")
        client.deadline = asyncio.get_running_loop().time() + SILENT_SECONDS + length / LEAST_RATE
        self._sending[id(client)] = length
        try:
            await self.app(scope, client.receive, client.send)
        finally:
            del self._sending[id(client)]


class _Client:
    """One request's two ends. gone: the client has left or was too slow."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.deadline: float | None = None
        self.gone = self._answered = self._complete = False

    async def receive(self) -> Message:
        """The next part; after SILENT_SECONDS of silence, or the deadline, a disconnection."""
        if self._complete:  # only waiting for the client to leave is left
            message = await self._receive()
        else:
            patience = SILENT_SECONDS
            if self.deadline is not None:
                patience = min(patience, self.deadline - asyncio.get_running_loop().time())
            try:
                message = await asyncio.wait_for(self._receive(), max(0.0, patience))
            except asyncio.TimeoutError:
                self.gone = True
                raise Refused(408, "the rest did not arrive in time") from None
        if message["type"] == "http.disconnect":
            self.gone = True
        elif not message.get("more_body"):
            self._complete = True
        return message

    async def body(self, length: int) -> bytes:
        """The whole body of the announced length."""
        parts, size = [], 0
        while not self._complete and not self.gone:
            part = (await self.receive()).get("body", b"")
            size += len(part)
            if size > length:
                raise Refused(400, "more content than announced")
            parts.append(part)
        return b"".join(parts)

    def replay(self, body: bytes) -> Receive:
        """A `receive` that gives the body in one part."""
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return waiting.pop() if waiting else await self.receive()

        return receive

    async def send(self, message: Message) -> None:
        """Hand on a part of the answer; its head has the headers for browsers."""
        if message["type"] == "http.response.start":
            self._answered = True
            message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
        await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        """Answer with a status and a line, and end the connection."""
        if self._answered:
            return
        head = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": refused.status, "headers": head})
        await self.send({"type": "http.response.body", "body": refused.line.encode()})


def check_origin(headers: Mapping[str, str], hosts: frozenset[str]) -> None:
    """Raise Refused for another page's request, or one under a name that is not ours.

    The second is how a page elsewhere would read this one (DNS rebinding): its name, which its
    owner has made to lead here, is the origin and the host alike.
    """
    host = headers.get("host", "")
    if not allows_host(host, hosts):
        raise Refused(421, f"this page is not known as {printable(host)[:100]}: see --host-names")
    origin = headers.get("origin")
    if origin is not None and origin.rpartition("://")[2].lower() != host.lower():
        raise Refused(403, "requests of other pages are refused")
    if (
        headers.get("sec-fetch-site") == "cross-site"
        and headers.get("sec-fetch-mode") != "navigate"
    ):
        raise Refused(403, "requests of other pages are refused")


def allows_host(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header is an address, or one of the names; ".x.y" stands for all below x.y.

    An address cannot be rebound: only names can be made to lead elsewhere.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.lower().rstrip(".")
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name in names or any(name.endswith(end) for end in names if end.startswith("."))
    return True


def own_names(extra: Iterable[str], shared: bool) -> frozenset[str]:
    """The names that lead to this computer, and those that its owner tells."""
    names = {"localhost", socket.gethostname(), socket.getfqdn(), *extra}
    return frozenset(name.lower() for name in names if name) | ({SHARED} if shared else set())


def check_json(body: bytes) -> None:
    """Raise Refused unless the body is JSON that can be read."""
    try:
        json.loads(body or b"null")
    except (ValueError, RecursionError):
        raise Refused(400, "no JSON") from None


def password_check(user: str, password: str) -> Callable[[str, str], Awaitable[bool]]:
    """A function of a name and a password: whether they are right.

    A wrong answer takes GUESS_SECONDS and is told on stderr; while MAX_GUESSES are being answered,
    nobody else gets in.
    """
    waiting = 0

    async def check(name: str, guess: str) -> bool:
        nonlocal waiting
        if waiting >= MAX_GUESSES:
            return False
        same = [
            hmac.compare_digest(a.encode(), b.encode())
            for a, b in ((name, user), (guess, password))
        ]
        if all(same):
            return True
        waiting += 1
        try:
            await asyncio.sleep(GUESS_SECONDS)
        finally:
            waiting -= 1
        print(f"wrong password for {printable(name)[:100]}", file=sys.stderr)
        return False

    return check


def patient(protocol: type, seconds: float, most: int) -> type:
    """uvicorn's protocol, which ends connections that bring no whole request within `seconds`.

    Of more than `most` connections, new ones are ended at once.
    """

    class Patient(protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > most:
                transport.close()
                return
            self._look_again(None)

        def _look_again(self, request: Any) -> None:
            """End the connection if nothing has come since `request`, which has its answer."""
            if self.transport.is_closing():
                return
            answered = self.cycle is None or self.cycle.response_complete
            if answered and self.cycle is request and self._looked:
                self.transport.close()
                return
            self._looked = True
            asyncio.get_running_loop().call_later(seconds, self._look_again, self.cycle)

        _looked = False

    return Patient


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:  # deleted meanwhile
        return None
