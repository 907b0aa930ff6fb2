"""Files of published weights: in the caches of this machine, from the hub, or from a release."""

import contextlib
import os
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from train.models.audio.mobilenet import SHA256

HUB_SECONDS = 5.0  # the hub client alone would retry for 52 s without a network


def cached_file(backbone: Any) -> Path | None:
    """The weights file that an earlier download left on this machine, if any."""
    from huggingface_hub import try_to_load_from_cache

    source = backbone.pretrained_cfg
    if source.get("hf_hub_id"):
        for filename in ("model.safetensors", "pytorch_model.bin"):
            file = try_to_load_from_cache(source["hf_hub_id"], filename)
            if isinstance(file, str):
                return Path(file)
    released = _torch_cache(source.get("url") or "none")
    return released if released.is_file() else None


def downloaded_file(backbone: Any) -> Path | None:
    """The weights file from the model hub, or of the release that the network's authors made.

    None when there is none or nothing answers within `HUB_SECONDS`. Raises ValueError for a
    release that is not what its authors published.
    """
    source = backbone.pretrained_cfg
    repository = source.get("hf_hub_id")
    if not repository:
        url = source.get("url") or ""
        return _released(url) if url.rsplit("/", 1)[-1] in SHA256 else None
    if not hub_answers(HUB_SECONDS):
        return None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(hf_hub_download(repository, "model.safetensors"))
    except (HfHubHTTPError, OSError):
        return None


def _released(url: str) -> Path | None:
    """The file of a release, fetched into torch's cache; None if its host does not answer."""
    file = _torch_cache(url)
    sha256 = SHA256[file.name]

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=HUB_SECONDS):
            pass

    if _offline() or not _answered(ask, HUB_SECONDS):
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _time_out(HUB_SECONDS):
            torch.hub.download_url_to_file(url, str(file), sha256, progress=sys.stderr.isatty())
    except OSError:
        return None
    except RuntimeError:  # torch.hub's word for another checksum
        raise ValueError(
            f"{url} is not the file that its authors published: its sha256 is not {sha256}. "
            "Nothing was kept; try later, or give a file of yours with --weights FILE"
        ) from None
    return file


def _torch_cache(url: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


def hub_answers(seconds: float) -> bool:
    """Whether the model hub answers a request within `seconds`."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE or _offline():
        return False
    return _answered(lambda: get_session().head(constants.ENDPOINT, timeout=seconds), seconds)


def _offline() -> bool:
    return bool(os.environ.get("HF_HUB_OFFLINE"))


def _answered(ask: Callable[[], object], seconds: float) -> bool:
    """Whether `ask` returns within `seconds`, and without an error."""
    answered = threading.Event()

    def try_it() -> None:
        try:
            ask()
        except Exception:  # every reason means the same: no answer
            return
        answered.set()

    # A thread of its own, because looking up the host's name obeys no time-out.
    threading.Thread(target=try_it, daemon=True).start()
    return answered.wait(seconds)


@contextlib.contextmanager
def _time_out(seconds: float) -> Iterator[None]:
    """Sockets that are opened meanwhile wait no longer than this for the next bytes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
