"""Tensors on disk, as one whole file."""

from pathlib import Path
from typing import Any

import torch

from common.files import whole_file


def write_torch(file: Path, facts: dict[str, Any]) -> None:
    """Save tensors and plain values as one whole file."""
    with whole_file(file) as sink:
        try:
            torch.save(facts, sink)
        except RuntimeError as error:  # torch's, on top of what the file system said
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
