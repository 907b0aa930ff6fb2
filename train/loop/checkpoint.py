"""Tensors on disk, as one whole file: written, and read without believing what the file says."""

import pickle
import zipfile
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch

from common.files import whole_file

MAX_VALUES = 1_000_000  # beside the weights: names, figures, means


def write_torch(file: Path, values: dict[str, Any]) -> None:
    """Save tensors and plain values as one whole file."""
    with whole_file(file) as sink:
        try:
            torch.save(values, sink)
        except RuntimeError as error:  # torch's, on top of what the file system said
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def read_torch(file: Path) -> Any:
    """What `write_torch`, or torch.save of any newer torch, wrote: plain values and tensors.

    Nothing in the file is executed, and tensors are no larger together than the file. Raises
    ValueError with one line that names the file, and says in what way it cannot be read.
    """
    if not file.is_file():
        raise ValueError(f"{file}: no such file" if not file.exists() else f"{file} is no file")
    try:
        with zipfile.ZipFile(file) as members:
            infos = members.infolist()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror or error}") from None
    except Exception:  # BadZipFile, and others for bytes that it did not expect
        raise ValueError(f"{file} is truncated, or of another program") from None
    # A deflated member of a megabyte can hold a gigabyte of zeros; torch deflates none.
    if any(one.compress_type or one.file_size != one.compress_size for one in infos):
        raise ValueError(f"{file} is damaged, or made to be: parts of it are compressed")
    try:
        # Mapped, so that a tensor cannot reach beyond the file's own bytes.
        values = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        raise ValueError(f"{file} is damaged, or tries to run code, which is refused") from None
    except Exception as error:  # torch raises many kinds for damaged files
        reason = " ".join((str(error).splitlines() or [""])[0].split())[:100]
        raise ValueError(f"{file} is damaged ({type(error).__name__}: {reason})") from None
    _check_sizes(file, values)
    return values


def _check_sizes(file: Path, values: Any) -> None:
    """Raise ValueError when tensors claim more numbers than the file has bytes for."""
    waiting, total, n_values = [values], 0, 0
    while waiting:
        value = waiting.pop()
        n_values += 1
        if n_values > MAX_VALUES:  # or lists that hold one another, which never end
            raise ValueError(f"{file} is damaged, or made to be: more than {MAX_VALUES} values")
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value
        elif torch.is_tensor(value):
            if value.layout != torch.strided or value.is_quantized or value.is_complex():
                raise ValueError(f"{file} is damaged: a tensor of a kind that no network has")
            total += value.numel() * value.element_size()
    if total > file.stat().st_size:
        raise ValueError(f"{file} is damaged, or made to be: it claims {total} bytes of weights")


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """A digest of names, shapes, types and numbers of tensors."""
    seen = blake2b(digest_size=16)
    for name, tensor in sorted(weights.items()):
        seen.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        seen.update(_bytes(tensor))
    return seen.hexdigest()


def values_digest(values: object) -> str:
    """A digest of plain values and tensors at any depth, the same when they were read again.

    Raises ValueError for sparse and quantized tensors, of which a checkpoint has none.
    """
    seen, waiting = blake2b(digest_size=16), [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            seen.update(f"mapping of {len(value)}\n".encode())
            waiting += [one for item in value.items() for one in item]
        elif isinstance(value, list | tuple):
            seen.update(f"list of {len(value)}\n".encode())
            waiting += value
        elif isinstance(value, torch.Tensor):
            if value.layout is not torch.strided or value.is_quantized:
                raise ValueError("a tensor of it is sparse or quantized")
            seen.update(f"{tuple(value.shape)} {value.dtype}\n".encode())
            seen.update(_bytes(value))
        else:
            seen.update(f"{value!r}\n".encode(errors="surrogatepass"))
    return seen.hexdigest()


def _bytes(tensor: torch.Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
