"""The page's server: from the model file to Ctrl-C, and nothing left behind."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from app.config import Limits, ServeConfig
from common.cli import DONE
from inference.predictor import Predictor, load


def serve(model_file: str, config: ServeConfig, limits: Limits) -> int:
    """Load the model and serve the page until the process is asked to end."""
    if config.public:
        print(
            f"warning: everybody who reaches {config.host}:{config.port} can use this computer to "
            "classify files" + ("" if config.auth == "none" else ", given the password"),
            file=sys.stderr,
        )
    model = load(model_file)
    if model.facts.is_table:
        raise ValueError(f"{model_file} classifies rows of tables: python predict.py MODEL TABLE")
    with tempfile.TemporaryDirectory(prefix="spectrofold-", ignore_cleanup_errors=True) as folder:
        # Read when Gradio is imported: its temporary files, its reports home, its look for news.
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        _serve(model, config, limits, Path(folder))
    return DONE


def _serve(model: Predictor, config: ServeConfig, limits: Limits, folder: Path) -> None:
    from app.page import CSS, build
    from app.service import Service

    page = build(Service(model, limits), folder)
    user, _, password = (config.auth or "").partition(":")
    try:
        page.launch(
            server_name=config.host,
            server_port=config.port,
            share=config.share,
            quiet=True,
            auth=(user, password) if password else None,
            prevent_thread_lock=True,
            max_file_size=round(limits.max_mb * 1e6),
            ssr_mode=False,
            footer_links=["api"],
            css=CSS,
            run_history=False,
            enable_monitoring=False,
            pwa=False,
        )
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
