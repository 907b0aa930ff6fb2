"""An ONNX program, perhaps a stranger's: looked at before it runs, and bounded while it does.

onnxruntime believes what a file says: a loop runs as often as the file wants, a constant is as
large, and numbers may be kept in any other file.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

MAX_BYTES = 2**31 - 1  # protobuf has no more
MAX_NODES = 100_000
MAX_SECONDS = 120.0  # of one batch; a small network takes a hundredth of a second
WORKING_BYTES = 1_000_000_000  # of memory beyond what the weights need, in which a batch fits
EMBEDDINGS = "embeddings"  # the name of a program's second output
PIECE = 16  # inputs at a time: more gain nothing on a processor
# Numbers of the fields in onnx.proto.
GRAPH, METADATA, FUNCTIONS = 7, 14, 25
NODE, INITIALIZER = 1, 5
ATTRIBUTE, ATTRIBUTE_GRAPHS = 5, (6, 11)
DATA_LOCATION = 14  # of a tensor: 1 where its numbers are in another file


class Program:
    """A program that turns arrays into arrays on the processor."""

    def __init__(self, data: bytes, *, n_threads: int = 0) -> None:
        """Make the program; ValueError with one line if it is damaged or does what none needs.

        n_threads: of each run, 0 for as many as there are cores.
        """
        import onnxruntime

        check(data)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what fails is raised
        options.intra_op_num_threads = n_threads
        options.add_session_config_entry("session.use_env_allocators", "1")
        where = onnxruntime.OrtMemoryInfo(
            "Cpu",
            onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
            0,
            onnxruntime.OrtMemType.DEFAULT,
        )
        arena = {"max_mem": WORKING_BYTES + 3 * len(data), "arena_extend_strategy": 0}
        arena |= {"initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}  # the defaults
        onnxruntime.create_and_register_allocator(where, onnxruntime.OrtArenaCfg(arena))
        try:
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"], enable_fallback=False
            )
        except Exception as error:  # its own kinds for each way a program is wrong
            raise ValueError(_first_line(error)) from None
        self._data = data
        self._input = self._session.get_inputs()[0].name
        self.outputs = tuple(output.name for output in self._session.get_outputs())
        self._new_run = onnxruntime.RunOptions

    def on_one_thread(self) -> "Program":
        """The same program, each of whose runs takes one core: for runs from many threads."""
        return Program(self._data, n_threads=1)

    def run(self, inputs: np.ndarray, outputs: Sequence[str] | None = None) -> list[Any]:
        """The outputs, all or those named, for inputs (B, ...), for PIECE of them at a time.

        Raises ValueError when the program does not take them, or goes on for MAX_SECONDS.
        """
        starts = range(0, max(1, len(inputs)), PIECE)
        pieces = [self._run(inputs[i : i + PIECE], outputs) for i in starts]
        if len(pieces) == 1:
            return pieces[0]
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]

    def _run(self, inputs: np.ndarray, names: Sequence[str] | None) -> list[Any]:
        running = self._new_run()
        timer = threading.Timer(MAX_SECONDS, setattr, (running, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            outputs: list[Any] = self._session.run(names, {self._input: inputs}, running)
        except Exception as error:
            raise ValueError(f"the model's program fails: {_first_line(error)}") from None
        finally:
            timer.cancel()
        return outputs


def check(data: bytes) -> None:
    """Raise ValueError for a program that is cut, or that does what no network of ours does."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data)} bytes are more than an ONNX program has")
    graphs = [part for number, part in _fields(memoryview(data)) if number == GRAPH]
    if len(graphs) != 1 or isinstance(graphs[0], int):
        raise ValueError("not an ONNX program")
    if any(number == FUNCTIONS for number, _ in _fields(memoryview(data))):
        raise ValueError("its program defines functions of its own")
    n_nodes = 0
    for number, part in _fields(graphs[0]):
        if number == NODE:
            n_nodes += 1
            _check_node(part)
        elif number == INITIALIZER:
            _check_tensor(part)
    if n_nodes > MAX_NODES:
        raise ValueError(f"its program has {n_nodes} steps; expected at most {MAX_NODES}")


def metadata(data: bytes) -> dict[str, str]:
    """The texts that a program carries, by their keys; ValueError if it is cut."""
    found = {}
    for number, part in _fields(memoryview(data)):
        if number == METADATA and not isinstance(part, int):
            pair = {n: bytes(text) for n, text in _fields(part) if not isinstance(text, int)}
            found[pair.get(1, b"").decode()] = pair.get(2, b"").decode()
    return found


def _check_node(node: memoryview | int) -> None:
    for number, attribute in _fields(node):
        if number != ATTRIBUTE:
            continue
        for kind, value in _fields(attribute):
            if kind in ATTRIBUTE_GRAPHS:  # of loops and branches
                raise ValueError("its program repeats a part of itself as often as it says")
            if kind in (5, 10):
                _check_tensor(value)


def _check_tensor(tensor: memoryview | int) -> None:
    if any(number == DATA_LOCATION and value for number, value in _fields(tensor)):
        raise ValueError("its program keeps numbers in another file")


def _fields(message: memoryview | int) -> Iterator[tuple[int, memoryview | int]]:
    """(number, value) of each field of a protobuf message; ValueError if it is none."""
    if isinstance(message, int):
        raise ValueError("not an ONNX program")
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == 2:
            size, place = _varint(message, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("not an ONNX program")
        if place + size > len(message):
            raise ValueError("its program is truncated")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """(number, the place behind it)."""
    value = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("its program is truncated")
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _first_line(error: Exception) -> str:
    return " ".join((str(error).splitlines() or [type(error).__name__])[0].split())[:150]
