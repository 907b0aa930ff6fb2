"""The library's command as a person runs it, but in this process; and what an index holds."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from inference.library.__main__ import main

ANSWERS = """
SELECT songs.path, songs.digest, models.digest, clips, label, probability, unsure, fingerprint,
embedding, difference
FROM songs JOIN answers ON answers.song = songs.id JOIN models ON models.id = answers.model
JOIN embeddings ON embeddings.song = songs.id AND embeddings.model = models.id
LEFT JOIN differences ON differences.song = songs.id AND differences.model = models.id
ORDER BY models.digest, clips, songs.path
"""


class Library:
    """An index and a model: `library("similar", song)` is (exit code, standard output)."""

    def __init__(
        self, index: Path, model: Path, patch: pytest.MonkeyPatch, said: pytest.CaptureFixture[str]
    ) -> None:
        self.index, self.model = index, model
        self.error = ""
        self._patch, self._said = patch, said

    def __call__(self, *words: object) -> tuple[int, str]:
        """Run the command; what it writes to standard error is in `error`."""
        command = ["library", *map(str, words), "--index", str(self.index)]
        self._patch.setattr(sys, "argv", command)
        code = main()
        out, self.error = self._said.readouterr()
        return code, out

    def scan(self, music: Path, *options: object) -> tuple[int, str]:
        """Scan a folder."""
        return self("scan", music, "--model", self.model, *options)


def answers(index: Path) -> list[tuple[object, ...]]:
    """All that an index holds of songs and answers, without the numbers of its rows."""
    with closing(sqlite3.connect(index)) as db:
        return db.execute(ANSWERS).fetchall()
