"""The page's server: from the model file to Ctrl-C, and nothing left behind."""

import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.middleware import Middleware

from app.config import Limits, ServeConfig
from app.guard import SILENT_SECONDS, Guard, own_names, password_check, patient
from common.cli import DONE
from common.text import printable
from inference.predictor import Predictor, load

if TYPE_CHECKING:
    import gradio as gr
    from starlette.routing import Route

PREFIX, LOCK = "spectrofold-page-", "in use"
MAX_CONNECTIONS = 200


def serve(model_file: str, config: ServeConfig, limits: Limits) -> int:
    """Load the model and serve the page until the process is asked to end."""
    auth = config.user_and_password()
    if config.public:
        print(
            f"warning: everybody who reaches {config.host}:{config.port} can use this computer to "
            "classify files" + (", given the password" if auth else ""),
            file=sys.stderr,
        )
    if config.library:
        who = "everybody with the password" if auth else "every user of this computer"
        print(f"warning: {who} can hear the songs of {config.library}", file=sys.stderr)
    model = load(model_file)
    if model.facts.is_table:
        raise ValueError(f"{model_file} classifies rows of tables: python predict.py MODEL TABLE")
    remove_leftovers(Path(tempfile.gettempdir()))
    with own_folder() as folder:
        # Read when Gradio is imported: its temporary files, its reports home, its look for news.
        os.environ |= {"GRADIO_TEMP_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False"}
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        tempfile.tempdir = str(folder)  # of uploads that are on their way, too
        _serve(model, Path(model_file).resolve(), config, limits, auth, folder)
    return DONE


def _serve(
    model: Predictor,
    model_file: Path,
    config: ServeConfig,
    limits: Limits,
    auth: tuple[str, str] | None,
    folder: Path,
) -> None:
    from app.corrections import Corrections
    from app.library import Library, routes
    from app.page import build
    from app.service import Service

    room = round(1e6 * limits.max_waiting_mb)
    several = model.facts.several is not None
    # Only who gave the password may teach the model.
    corrections = Corrections(model_file, model.classes, room, several=several) if auth else None
    library = Library(Path(config.library), model_file, corrections) if config.library else None
    service = Service(model, limits, report=model_file.with_name("report.html"))
    service.start()
    tell_in_a_line()
    page = build(service, folder, corrections, library)
    _launch(page, config, limits, auth, folder, routes(library) if library else [])
    settings = page.server.config  # uvicorn asks them at every connection
    settings.http_protocol_class = patient(
        settings.http_protocol_class, SILENT_SECONDS, MAX_CONNECTIONS
    )
    print(f"http://{config.host}:{config.port}  (Ctrl-C ends it)", flush=True)
    signal.signal(signal.SIGTERM, _end)
    try:
        sweep(folder, 60 * config.keep_minutes, set(folder.rglob("*")))
    except KeyboardInterrupt:
        print("ended", file=sys.stderr)
    finally:
        page.close(verbose=False)
        service.close()
        if library:
            library.close()


def tell_in_a_line() -> None:
    """Have Gradio's queue tell of requests that it stumbles over in a line, not in thirty each.

    Data of another shape fails there, or in Gradio's own functions, before ours are asked.
    """
    from gradio import queueing

    def print_exc() -> None:
        error = sys.exc_info()[1]
        *_, place = traceback.extract_tb(error.__traceback__ if error else None) or [None]
        where = f" ({Path(place.filename).name}, line {place.lineno})" if place else ""
        print(f"no answer to a request: {printable(repr(error))[:200]}{where}", file=sys.stderr)

    vars(queueing)["traceback"] = SimpleNamespace(print_exc=print_exc)


def _launch(
    page: "gr.Blocks",
    config: ServeConfig,
    limits: Limits,
    auth: tuple[str, str] | None,
    folder: Path,
    own_routes: "list[Route]",
) -> None:
    """Have the page answered in threads of its own; own_routes: addresses beside Gradio's."""
    from app.view import css, head, theme

    names = own_names((config.host_names or "").split(","), config.share)
    guard = Middleware(Guard, names, folder, round(1e6 * limits.max_waiting_mb))
    try:
        page.launch(
            server_name=config.host,
            server_port=config.port,
            share=config.share,
            quiet=True,
            auth=password_check(*auth) if auth else None,  # type: ignore[arg-type]  # it is awaited
            prevent_thread_lock=True,
            max_file_size=round(limits.max_mb * 1e6),
            ssr_mode=False,
            footer_links=["api"],
            css=css(),
            theme=theme(),
            head=head(),
            run_history=False,
            enable_monitoring=False,
            pwa=False,
            app_kwargs={"middleware": [guard], "routes": own_routes},
        )
    except OSError as error:
        if "port" in str(error):
            raise ValueError(f"--port {config.port} is in use: give another") from None
        raise


@contextmanager
def own_folder() -> Iterator[Path]:
    """A temporary folder that is gone in the end, and known as in use until then by its lock."""
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name,
        (Path(name) / LOCK).open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Path(name)


def remove_leftovers(temporary: Path) -> None:
    """Remove the folders of pages that were killed: nobody holds their locks any more."""
    for lock in temporary.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), lock.open("a") as file:  # another user's, or in use
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


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
