"""What visitors with the password say of files, kept beside the model for a later training."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from common.files import whole_path
from common.recordings import SEPARATOR, in_order
from data.corrections import Correction, add_correction, beside, correction_of, read_corrections


class Corrections:
    """The table of corrections beside a model file, and copies of the corrected files with it.

    max_bytes: of all copies together; several: whether a file may have several classes.
    """

    def __init__(
        self,
        model_file: str | Path,
        classes: tuple[str, ...],
        max_bytes: int,
        *,
        several: bool = False,
    ) -> None:
        self.table, self._classes, self._max_bytes = beside(model_file), classes, max_bytes
        self._several = several
        self._folder = self.table.with_suffix("")

    def add(self, path: str, labels: Sequence[str], by: str) -> Correction:
        """Write which class or classes a file has, and keep a copy of the file.

        Raises ValueError when they are none of the model, or there is no room.
        """
        label = self._known(labels)
        file = Path(path)
        said = correction_of(file, label, by)
        name = f"{said.digest}{file.suffix.lower()}"
        if not (self._folder / name).is_file():
            self._copy(file, name)
        kept = f"{self._folder.name}/{name}"
        correction = replace(said, path=kept)
        add_correction(self.table, correction)
        return correction

    def note(self, file: Path, labels: Sequence[str], by: str) -> None:
        """Write which class or classes a file has; it stays where it is. ValueError likewise."""
        add_correction(self.table, correction_of(file, self._known(labels), by))

    def _known(self, labels: Sequence[str]) -> str:
        """The labels as one text, in the order of the classes."""
        if self._several:
            if not (named := in_order(labels, self._classes)):
                raise ValueError("choose one or more of the model's classes")
            return SEPARATOR.join(named)
        if len(labels) != 1 or labels[0] not in self._classes:
            raise ValueError("choose one of the model's classes")
        return labels[0]

    def _copy(self, file: Path, name: str) -> None:
        copies = self._folder.iterdir() if self._folder.is_dir() else ()
        used = sum(copy.stat().st_size for copy in copies)
        if used + file.stat().st_size > self._max_bytes:
            raise ValueError("there is no room for more corrections: somebody must train on them")
        with whole_path(self._folder / name) as temporary:
            shutil.copyfile(file, temporary)

    def summary(self) -> str:
        """How many corrections wait, and how the model learns from them."""
        n = len(read_corrections(self.table)) if self.table.is_file() else 0
        if not n:
            return "No corrections yet."
        waiting = "1 correction waits" if n == 1 else f"{n} corrections wait"
        return f"{waiting} for the next training: python main.py --corrections {self.table.name}"
