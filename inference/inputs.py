"""What the inputs of a command stand for: files, folders, patterns, and standard input."""

import glob
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from data.images.read import list_pictures

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    Value: TypeAlias = str | Path | Image | np.ndarray  # what a model can be asked about

STDIN = "-"
MAX_STDIN = 4_000_000_000  # bytes: six hours of uncompressed sound
PART = 1 << 20
LATEST = Path("runs/latest")


def model_and_inputs(arguments: list[str]) -> tuple[str, list[str]]:
    """(model file, inputs) of what stands on the command line, the model first or left out.

    Without one it is that of runs/latest. Raises ValueError when there is no such run, or when the
    model is not the first.
    """
    first, *rest = arguments
    if _is_model(first) and rest:
        return first, rest
    if misplaced := [name for name in rest if _is_model(name)]:
        raise ValueError(
            f"{misplaced[0]} is a model: give it first, python predict.py {misplaced[0]} "
            + " ".join(name for name in arguments if name != misplaced[0])
        )
    if _is_model(first):
        raise ValueError(f"{first} is a model; expected pictures or recordings after it")
    if not _is_model(str(LATEST)):
        raise ValueError(
            f"{first} is no model, and there is no finished run in {LATEST}: give a model.pth or "
            "model.onnx first, or train one with python main.py"
        )
    return str(LATEST / "model.pth"), arguments


def _is_model(name: str) -> bool:
    return name.endswith((".pth", ".onnx")) or (Path(name) / "model.pth").is_file()


def expand(inputs: list[str]) -> list[str]:
    """The files that files, folders (searched through) and glob patterns stand for, each once.

    A folder with recordings stands for these alone: pictures beside them are covers. A file named
    directly is kept whatever it is, so that a wrong one is named and not passed over. Raises
    ValueError when nothing is found.
    """
    files: list[str] = []
    for name in inputs:
        if Path(name).is_dir():
            found = _of_folder(Path(name))
        elif not Path(name).exists() and glob.has_magic(name):
            found = sorted(glob.glob(name, recursive=True))
        else:
            found = [name]
        if not found and len(inputs) == 1:
            raise ValueError(f"{name}: no pictures or recordings there")
        if not found:  # as an empty folder that a shell's * gave
            print(f"note: {name}: no pictures or recordings there", file=sys.stderr)
        files += found
    if inputs and not files:
        raise ValueError(f"no pictures or recordings in {', '.join(inputs)}")
    return list(dict.fromkeys(files))


def _of_folder(folder: Path) -> list[str]:
    from render.sources.folders import audio_files

    found = audio_files(folder)
    pictures = list_pictures(folder)
    if found and pictures:
        print(
            f"note: {folder}: {len(found)} recordings; {len(pictures)} pictures beside them are "
            "passed over",
            file=sys.stderr,
        )
    return [str(path) for path in found or pictures]


@contextmanager
def standard_input_as_file(inputs: list[str]) -> Iterator[str | None]:
    """A file that holds what stands on standard input if `-` is asked for, and is gone after.

    Also when the process is asked to end. Raises ValueError when it does not end in MAX_STDIN.
    """
    if STDIN not in inputs:
        yield None
        return
    with _ended_by_sigterm(), tempfile.TemporaryDirectory(prefix="spectrofold-") as folder:
        file = Path(folder) / "standard input"
        with file.open("wb") as out:
            while part := sys.stdin.buffer.read(PART):
                if out.tell() + len(part) > MAX_STDIN:
                    raise ValueError(f"{STDIN}: more than {MAX_STDIN} bytes; give a file")
                out.write(part)
        yield str(file)


@contextmanager
def values_as_files(values: "Sequence[Value]", sr: int | None) -> Iterator[list[str]]:
    """Paths as they are, and for as long as they are needed files of pictures and of samples.

    Samples are float (n,) or (n, channels) in [-1, 1], at `sr` Hz. Nothing is lost on the way, so
    that they are answered as a file of them would be. A file's stem is "picture" or "samples",
    numbered where there are several values. Raises ValueError for samples without their rate or of
    another shape or type.
    """
    if all(isinstance(value, str | Path) for value in values):
        yield [str(value) for value in values]
        return
    with tempfile.TemporaryDirectory(prefix="spectrofold-") as folder:
        files = []
        for i, value in enumerate(values):
            number = f" {i}" if len(values) > 1 else ""
            if isinstance(value, str | Path):
                file = Path(value)
            elif hasattr(value, "save"):
                file = Path(folder) / f"picture{number}.png"
                value.save(file)
            else:
                file = Path(folder) / f"samples{number}.wav"
                _write_samples(file, value, sr)
            files.append(str(file))
        yield files


def _write_samples(file: Path, y: "np.ndarray", sr: int | None) -> None:
    import numpy as np
    import soundfile

    y = np.asarray(y)
    if y.dtype.kind not in "iuf":
        raise TypeError(f"{y.tolist()!r:.80} is no path, PIL image or samples")
    if y.ndim > 2 or (y.ndim == 2 and y.dtype == np.uint8):
        raise ValueError(
            f"an array of shape {y.shape} is no samples; for a picture: "
            "model(Image.fromarray(pixels))"
        )
    if not isinstance(sr, int | float | np.integer | np.floating) or sr < 1:
        raise ValueError(f"sr={sr!r}: samples need their rate in Hz, as model(y, sr=22050)")
    if not np.issubdtype(y.dtype, np.floating) or y.ndim not in (1, 2) or not y.size:
        raise ValueError(
            f"samples of type {y.dtype} and shape {y.shape}; expected float (n,) or (n, channels) "
            "in [-1, 1]"
        )
    if y.ndim == 2 and y.shape[1] > y.shape[0]:
        raise ValueError(f"samples of shape {y.shape}; expected (n, channels): give y.T")
    soundfile.write(file, y.astype(np.float32), int(sr), subtype="FLOAT")


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the program as an exception, so that what is temporary is removed."""

    def end(*_: object) -> NoReturn:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
