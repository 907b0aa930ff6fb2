"""A library page by page: what a search finds, and what it finds after songs have changed."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.corrections import Correction, add_correction, beside
from inference.library.analysis import Analysis
from inference.library.browse import PAGE, Browser, Search, certainty_of
from inference.library.index import File, Index, IndexedModel
from inference.prediction import ClipPrediction, Prediction
from render.audio.tags import SongTags

CLASSES = ("jazz", "rock")
ROUND = '\'Round "Midnight"'
SONGS = (
    ("/music/Björk/Jóga.mp3", SongTags("Jóga", "Björk"), "rock", 0.95, None),
    ("/music/ACDC/Thunder_Struck.flac", SongTags("Thunderstruck", "AC/DC"), "rock", 0.75, None),
    (f"/music/Monk/{ROUND}.ogg", SongTags("", "Monk", album="Genius"), "jazz", 0.55, None),
    ("/music/noise.wav", SongTags(), "jazz", 0.99, "unlike the training pictures"),
)  # fmt: skip


def add(index: Index, model: IndexedModel, path: str, tags: SongTags, *answer: object) -> None:
    label, probability, unsure = str(answer[0]), float(str(answer[1])), answer[2]
    named = {name: probability if name == label else 1 - probability for name in CLASSES}
    clip = ClipPrediction(0, 10, label, probability, named, None)
    said = Prediction(path, label, probability, named, unsure and str(unsure), timeline=(clip,))
    found = Analysis(said, np.ones(4, np.float32) / 2, np.zeros(16 * 64, np.uint8), None)
    digest = np.frombuffer(os.fsencode(path).ljust(32)[-32:], np.uint8).tobytes().hex()
    index.add(File(Path(path), 1, 1, digest), tags, model, found)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Index(tmp_path / "library.db", create=True) as index:
        model = index.add_model("", 0, tmp_path / "model.onnx", CLASSES)
        for song in SONGS:
            add(index, model, *song)
        yield Browser(index, model)


def found(browser: Browser, **search: str) -> list[str]:
    """The names of the files that are found, which are as many as are counted."""
    wanted = Search(**search)  # type: ignore[arg-type]
    songs = browser.page(wanted, 0)
    assert browser.count(wanted) == len(songs)
    return [song.file.path.stem for song in songs]


@pytest.mark.parametrize(
    ("words", "names"),
    [("bjork joga", ["Jóga"]), ("BJÖRK", ["Jóga"]), ("jog", ["Jóga"]), ("oga", []),
     ("ac/dc", ["Thunder_Struck"]), ("struck mus", ["Thunder_Struck"]), ("dc björk", []),
     ("genius", [ROUND]), ('"midnight', [ROUND]),
     ("monk - round", [ROUND]), ("AND OR NOT *", []), ("title:noise", []),
     ("flac", ["Thunder_Struck"]), ("\0", None), (" ", None), ("-", None)],
)  # fmt: skip
def test_words_are_beginnings_in_any_case_and_without_accents(
    browser: Browser, words: str, names: list[str] | None
) -> None:
    everything = ["Thunder_Struck", "Jóga", '\'Round "Midnight"', "noise"]
    assert found(browser, words=words) == (everything if names is None else names)


def test_songs_are_filtered_by_class_and_certainty_and_sorted(browser: Browser) -> None:
    assert found(browser, label="rock") == ["Thunder_Struck", "Jóga"]
    assert found(browser, label="rock", words="thunder") == ["Thunder_Struck"]
    for certainty, name in (("almost certainly", "Jóga"), ("probably", "Thunder_Struck"),
                            ("perhaps", ROUND), ("unsure", "noise")):  # fmt: skip
        assert found(browser, certainty=certainty) == [name]
        (song,) = browser.page(Search(certainty=certainty), 0)  # type: ignore[arg-type]
        assert certainty_of(song, ()) == certainty
    assert found(browser, order="least certain")[0] == '\'Round "Midnight"'
    assert found(browser, order="most certain")[:2] == ["noise", "Jóga"]
    assert found(browser, order="artist") == ["noise", "Thunder_Struck", "Jóga", ROUND]


def test_what_somebody_said_counts_before_the_model(browser: Browser) -> None:
    (song,) = browser.page(Search(words="midnight"), 0)
    table = beside(browser.model.file)
    said = Correction(song.file.digest, "/elsewhere.ogg", "rock", "2026-01-01", "anna")
    add_correction(table, said)
    assert len(found(browser, label="rock")) == 3
    assert found(browser, label="jazz") == ["noise"]
    assert found(browser, certainty="corrected") == [song.file.path.stem]
    assert found(browser, certainty="perhaps") == []
    other = replace(said, digest="0" * 64, path=str(SONGS[3][0]), label="rock")  # tagged since
    add_correction(table, other)
    assert found(browser, label="jazz") == []
    add_correction(table, replace(said, label="polka"))  # of another model's classes
    assert found(browser, certainty="corrected") == ["noise"]


def test_songs_that_are_moved_removed_or_added_are_found_as_they_are(browser: Browser) -> None:
    with Index(browser.index.file) as other:  # as a scan, which knows nothing of searches
        songs = {song.file.path.stem: song for song in other.songs(browser.model)}
        with other.transaction():
            other.move(songs["Jóga"].id, replace(songs["Jóga"].file, path=Path("/new/place.mp3")))
        other.remove([songs["noise"].id])
        add(other, browser.model, "/music/caf\udce9.flac", SongTags("Caf\u00e9"), "jazz", 0.8, None)
    assert found(browser, words="new place") == ["place"]
    assert found(browser, words="noise") == []
    assert found(browser, words="cafe") == ["caf\udce9"]
    assert browser.count(Search()) == 4


def test_pages_hold_every_song_once(browser: Browser) -> None:
    for i in range(2 * PAGE):
        add(browser.index, browser.model, f"/music/{i}.mp3", SongTags("Same"), "jazz", 0.8, None)
    for order in ("file", "title", "artist", "most certain", "least certain"):
        search = Search(order=order)  # type: ignore[arg-type]
        pages = [browser.page(search, offset) for offset in range(0, 3 * PAGE, PAGE)]
        assert [len(page) for page in pages] == [PAGE, PAGE, len(SONGS)]
        assert len({song.id for page in pages for song in page}) == 2 * PAGE + len(SONGS)
    assert browser.page(Search(), 10**9 - 1) == []
