"""beets: genres from what a model heard, where it is right often enough.

In beets' config.yaml, where the folder is the one that this file lies in:

    pluginpath: /path/to/spectrofold/beetsplug
    plugins: spectrofold
    spectrofold:
        index: ~/library.db     # of python -m inference.library scan
        precision: 0.95

beet spectrofold [--pretend] [QUERY]
"""

import os
from optparse import Values
from pathlib import Path

from beets import ui
from beets.library import Item, Library
from beets.plugins import BeetsPlugin

from common.files import absolute, digest_of
from inference.library.browse import as_said, corrected
from inference.library.index import Index, IndexedModel, Song
from inference.library.precision import Threshold, read_held_out, thresholds
from inference.library.tagging import covered, genres_with, note


class SpectrofoldPlugin(BeetsPlugin):
    """The command `beet spectrofold`."""

    def __init__(self) -> None:
        super().__init__()
        self.config.add({"index": "library.db", "precision": 0.95, "together": False, "add": False})

    def commands(self) -> list[ui.Subcommand]:
        """The one command."""
        command = ui.Subcommand(
            "spectrofold", help="set genres to what was heard, where it is right often enough"
        )
        command.parser.add_option(
            "-p", "--pretend", action="store_true", help="only print what would be set"
        )
        command.func = self._set_genres
        return [command]

    def _set_genres(self, library: Library, options: Values, query: list[str]) -> None:
        try:
            with Index(Path(self.config["index"].as_filename())) as index:
                if not (models := index.models()):
                    raise ValueError(f"{index.file}: scan music first")
                limits, said = self._limits(models[0]), corrected(index, models[0])
                for item in library.items(query):
                    song = index.song_at(absolute(os.fsdecode(item.path)), models[0])
                    if song is not None:
                        song = as_said(song, said.get(song.id, ()), models[0])
                        self._set_genre(index, song, covered(song, limits), item, options.pretend)
        except ValueError as error:
            raise ui.UserError(str(error)) from None

    def _limits(self, model: IndexedModel) -> dict[str, Threshold]:
        held_out = read_held_out(
            model.file.with_name("predictions.csv"), model.classes, several=model.several
        )
        return thresholds(
            held_out,
            self.config["precision"].as_number(),
            together=self.config["together"].get(bool),
        )

    def _set_genre(
        self, index: Index, song: Song, labels: tuple[str, ...], item: Item, pretend: bool
    ) -> None:
        before = tuple(item.genres or ())
        genres = genres_with(before, labels, add=self.config["add"].get(bool))
        if genres == before:
            return
        ui.print_(f"{item}: {', '.join(before) or 'nothing'} -> {', '.join(genres)}")
        if not pretend:
            item.genres = list(genres)
            item.store()
            if ui.should_write() and item.try_write():
                path = song.file.path
                note(index, song.id, path, digest_of(path), genres)
