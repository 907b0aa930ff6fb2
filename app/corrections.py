"""What visitors with the password say of files, kept beside the model for a later training."""

import shutil
from dataclasses import replace
from pathlib import Path

from common.files import whole_path
from data.corrections import Correction, add_correction, beside, correction_of, read_corrections


class Corrections:
    """The table of corrections beside a model file, and copies of the corrected files with it.

    max_bytes: of all copies together.
    """

    def __init__(self, model_file: str | Path, classes: tuple[str, ...], max_bytes: int) -> None:
        self.table, self._classes, self._max_bytes = beside(model_file), classes, max_bytes
        self._folder = self.table.with_suffix("")

    def add(self, path: str, label: str | None, by: str) -> Correction:
        """Write that the class of a file is `label`, and keep a copy of the file.

        Raises ValueError when it is no class of the model, or there is no room.
        """
        label = self._known(label)
        file = Path(path)
        said = correction_of(file, label, by)
        name = f"{said.digest}{file.suffix.lower()}"
        if not (self._folder / name).is_file():
            self._copy(file, name)
        kept = f"{self._folder.name}/{name}"
        correction = replace(said, path=kept)
        add_correction(self.table, correction)
        return correction

    def note(self, file: Path, label: str | None, by: str) -> None:
        """Write that the class of a file is `label`; it stays where it is. ValueError likewise."""
        add_correction(self.table, correction_of(file, self._known(label), by))

    def _known(self, label: str | None) -> str:
        if label not in self._classes:
            raise ValueError("choose one of the model's classes")
        return label

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
