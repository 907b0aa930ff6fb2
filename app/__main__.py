"""A page in the browser that tells the class of songs and pictures.

python -m app runs/latest/model.pth        on http://127.0.0.1:7860, for this computer alone
python -m app model.onnx                   the same without torch, and without Grad-CAM
"""

import ipaddress
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from app.limits import Limits
from common.cli import DONE, config_from, make_parser, option, run


@dataclass(frozen=True)
class ServeConfig:
    """Who is served"""

    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0 is every network")
    port: int = option(7860, "port to listen on")
    auth: str | None = option(
        None, "USER:PASSWORD that visitors must give, or none; needed for other than 127.0.0.1"
    )
    share: bool = option(False, "a public address through a server of the makers of Gradio")
    keep_minutes: float = option(15.0, "how long what visitors send is kept, at least")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        if not 1 <= self.port <= 65535:
            raise ValueError(f"--port {self.port}: a number in 1 to 65535")
        if self.keep_minutes <= 0:
            raise ValueError(f"--keep-minutes {self.keep_minutes}: more than 0")
        if self.auth not in (None, "none") and not all((self.auth or "").partition(":")):
            raise ValueError("--auth: expected USER:PASSWORD, or none")
        if self.public and self.auth is None:
            what = "--share" if self.share else f"--host {self.host}"
            raise ValueError(
                f"{what} opens the page to others: add --auth USER:PASSWORD, or --auth none to "
                "let everybody in"
            )

    @property
    def public(self) -> bool:
        """Whether others than this computer can reach the page."""
        try:
            return self.share or not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"


def main() -> int:
    """Parse, load the model, serve until Ctrl-C, and leave nothing behind."""
    parser = make_parser("python -m app", (__doc__ or "").strip(), ServeConfig, Limits)
    parser.add_argument("model", help="model.pth or model.onnx of a run")
    args = parser.parse_args()
    config, limits = config_from(args, ServeConfig), config_from(args, Limits)
    if config.public:
        print(
            f"warning: everybody who reaches {config.host}:{config.port} can use this computer to "
            "classify files" + ("" if config.auth == "none" else ", given the password"),
            file=sys.stderr,
        )
    from inference.predictor import load

    model = load(args.model)
    if "columns" in model.facts["image"]:
        raise ValueError(f"{args.model} classifies rows of tables: python predict.py MODEL TABLE")
    with tempfile.TemporaryDirectory(prefix="spectrofold-", ignore_cleanup_errors=True) as folder:
        # Read when Gradio is imported: its temporary files, its reports home, its look for news.
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        _serve(model, config, limits, Path(folder))
    return DONE


def _serve(model: Any, config: ServeConfig, limits: Limits, folder: Path) -> None:
    """Serve until the process is asked to end."""
    from app.page import CSS, build
    from app.service import Service

    page = build(Service(model, limits), folder)
    user, _, password = (config.auth or "").partition(":")
    try:
        page.launch(
            server_name=config.host, server_port=config.port, share=config.share, quiet=True,
            auth=(user, password) if password else None, prevent_thread_lock=True,
            max_file_size=round(limits.max_mb * 1e6), ssr_mode=False, footer_links=["api"],
            css=CSS, run_history=False, enable_monitoring=False, pwa=False,
        )  # fmt: skip
    except OSError as error:
        if "port" in str(error):
            raise ValueError(f"--port {config.port} is in use: give another") from None
        raise
    print(f"http://{config.host}:{config.port}  (Ctrl-C ends it)", flush=True)
    signal.signal(signal.SIGTERM, _end)
    try:
        sweep(folder, 60 * config.keep_minutes, set(folder.rglob("*")))
    except KeyboardInterrupt:
        print("ended", file=sys.stderr)
    finally:
        page.close(verbose=False)


def _end(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def sweep(folder: Path, seconds: float, ours: set[Path]) -> NoReturn:
    """Delete for ever what has lain in the folder for so many seconds, except `ours`."""
    while True:
        time.sleep(min(30.0, seconds / 2))
        for path in sorted(folder.rglob("*"), reverse=True):
            if path in ours:
                continue
            try:
                if path.is_dir():
                    path.rmdir()  # only if it is empty
                elif time.time() - path.stat().st_ctime > seconds:
                    path.unlink()
            except OSError:  # not empty, or deleted meanwhile
                continue


if __name__ == "__main__":
    run(main)
