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
from inference.library.index import Index, IndexedModel
from inference.library.precision import Threshold, read_held_out, thresholds
from inference.library.tagging import genres_with, is_covered, note


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
                limits = self._limits(models[0])
                for item in library.items(query):
                    self._set_genre(index, models[0], limits, item, options.pretend)
        except ValueError as error:
            raise ui.UserError(str(error)) from None

    def _limits(self, model: IndexedModel) -> dict[str, Threshold]:
        held_out = read_held_out(model.file.with_name("predictions.csv"), model.classes)
        return thresholds(
            held_out,
            self.config["precision"].as_number(),
            together=self.config["together"].get(bool),
        )

    def _set_genre(
        self,
        index: Index,
        model: IndexedModel,
        limits: dict[str, Threshold],
        item: Item,
        pretend: bool,
    ) -> None:
        path = absolute(os.fsdecode(item.path))
        song = index.song_at(path, model)
        if song is None or not is_covered(song, limits):
            return
        before = tuple(item.genres or ())
        genres = genres_with(before, song.prediction.label, add=self.config["add"].get(bool))
        if genres == before:
            return
        ui.print_(f"{item}: {', '.join(before) or 'nothing'} -> {', '.join(genres)}")
        if not pretend:
            item.genres = list(genres)
            item.store()
            if ui.should_write() and item.try_write():
                note(index, song.id, path, digest_of(path), genres)
