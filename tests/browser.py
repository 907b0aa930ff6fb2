"""What tests of pages need: Debian's chromium, a server of files, npm's packages, axe."""

import functools
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import ROOT

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")
AT_REST = """() => !document.querySelector(".pending") &&
  document.getAnimations().every(
    a => a.playState !== "running" || a.effect.getTiming().iterations === Infinity)"""
AXE = "axe-core@4.14.1"
# The rules of WCAG 2 at levels A and AA; what is only advised is not held against a page.
SERIOUS = """
async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.filter(v => ["serious", "critical"].includes(v.impact))
    .map(v => `${v.id}: ${v.nodes.map(n => `${n.target} ${n.failureSummary}`).join("; ")}`);
}
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address under which the folder's files are served, as python -m http.server does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def page_of(model: Path, *options: object) -> Iterator[str]:
    """The address of `python -m app` for a model, with the password anna:secret."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", model, "--port", port, "--auth", "anna:secret"]
    words = [str(word) for word in [*command, *options]]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as page:
        assert page.stdout is not None
        try:
            yield page.stdout.readline().split()[0]
        finally:
            page.send_signal(signal.SIGTERM)


def logged_in(opened: Any, url: str) -> Any:
    """A tab with the page, after the form for the password."""
    tab = opened.new_page()
    tab.set_default_timeout(30_000)
    tab.goto(url)
    tab.get_by_label("username").fill("anna")
    tab.get_by_label("password").fill("secret")
    tab.get_by_role("button", name="Login").click()
    tab.locator("#file").wait_for()
    return tab


@contextmanager
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@functools.cache
def npm_package(spec: str, folder: Path) -> Path | None:
    """The archive of a package NAME@VERSION, fetched into the folder; None without npm."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    command = [npm, "pack", spec, "--silent", "--fetch-retries=0", "--pack-destination", folder]
    subprocess.run([*map(str, command)], capture_output=True, check=False, timeout=120)
    archive = folder / f"{spec.replace('@', '-')}.tgz"
    return archive if archive.is_file() else None


def axe_program(folder: Path) -> str | None:
    """axe's program, or None where npm cannot fetch it."""
    if (archive := npm_package(AXE, folder)) is None:
        return None
    with tarfile.open(archive) as package:
        program = package.extractfile("package/axe.min.js")
        return program.read().decode() if program else None


def violations(tab: Any, axe: str | None) -> list[str]:
    """What axe finds serious or critical on the page that is open; nothing without axe."""
    if axe is None:
        return []
    for _ in range(100):  # what Gradio waits for is dimmed, and comes back by and by
        if tab.evaluate(AT_REST):
            break
        tab.wait_for_timeout(50)
    tab.evaluate(axe)
    found: list[str] = tab.evaluate(SERIOUS)
    return found
