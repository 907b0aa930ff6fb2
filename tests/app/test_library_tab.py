"""The library on the page: who may hear what, and a visit in Debian's chromium."""

import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mutagen
import numpy as np
import pytest
from playwright.sync_api import expect

from app.config import ServeConfig
from app.library import NotThere, scanned_file, search_of
from common.files import digest_of
from data.corrections import file_of, read_corrections
from inference.library.analysis import Analysis
from inference.library.command import chosen_model
from inference.library.index import File, Index, Song
from inference.prediction import ClipPrediction, Prediction
from render.audio.tags import SongTags
from tests.browser import (
    axe_program,
    browser,
    logged_in,
    needs_chromium,
    page_of,
    violations,
)
from tests.helpers import run_module
from tests.sounds import write_sound

N_SIMULATED = 60


def song_of(path: Path, **facts: int) -> Song:
    """The song as a scan has noted it, or with another size or time."""
    now = path.lstat() if path.is_symlink() else path.stat()
    file = File(path, facts.get("size", now.st_size), facts.get("mtime_ns", now.st_mtime_ns))
    return Song(1, file, SongTags(), 3.0, None, Prediction(str(path), "a", 1.0, {"a": 1.0}))


def test_a_file_that_was_scanned_is_read_and_no_other(tmp_path: Path) -> None:
    music, secret = tmp_path / "music", tmp_path / "secret.mp3"
    music.mkdir()
    for file in (music / "song.mp3", music / "notes.txt", secret):
        file.write_bytes(b"content")
    song = song_of(music / "song.mp3")
    assert scanned_file(song, [tmp_path / "other", music]) == (music / "song.mp3").resolve()
    roots = [music]
    for bad, why in (
        (song_of(secret), "no folder is known"),
        (song_of(music / "notes.txt"), "no recording"),
        (song_of(music / "song.mp3", size=8), "has changed"),
        (song_of(music / "song.mp3", mtime_ns=1), "has changed"),
    ):
        with pytest.raises(NotThere, match=why):
            scanned_file(bad, roots)
    with pytest.raises(NotThere, match="no folder is known"):
        scanned_file(song, [])
    (music / "song.mp3").unlink()
    with pytest.raises(NotThere, match="no longer there"):
        scanned_file(song, roots)


def test_a_link_leads_to_no_file_outside(tmp_path: Path) -> None:
    """Who may write into the music folder may not have the page read the owner's other files."""
    music, secret = tmp_path / "music", tmp_path / "secret.mp3"
    music.mkdir()
    secret.write_bytes(b"content")
    (music / "real.mp3").write_bytes(b"content")
    (music / "inside.mp3").symlink_to(music / "real.mp3")
    (music / "outside.mp3").symlink_to(secret)
    (music / "folder").symlink_to(tmp_path)
    (music / "circle.mp3").symlink_to(music / "circle.mp3")
    facts = secret.stat()
    same = {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns}
    real = (music / "real.mp3").stat()
    inside = song_of(music / "inside.mp3", size=real.st_size, mtime_ns=real.st_mtime_ns)
    assert scanned_file(inside, [music]) == (music / "real.mp3").resolve()
    for name in ("outside.mp3", "folder/secret.mp3"):
        with pytest.raises(NotThere, match="leads out of the scanned folder"):
            scanned_file(song_of(music / name, **same), [music])
    with pytest.raises(NotThere, match="no longer there"):
        scanned_file(song_of(music / "circle.mp3"), [music])


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    with pytest.raises(NotThere, match="no recording"):
        scanned_file(song_of(tmp_path / "pipe.mp3"), [tmp_path])


@pytest.mark.parametrize(
    "parameters",
    [{"words": "a" * 201}, {"certainty": "quite"}, {"order": "path; DROP TABLE songs"},
     {"offset": "-1"}, {"offset": "1" * 5000}, {"offset": "²"}, {"offset": "1e3"}],
)  # fmt: skip
def test_what_is_no_search_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"search|certainty|whole number"):
        search_of(parameters)


@pytest.mark.parametrize(
    "options", [{"host": "0.0.0.0"}, {"share": True}, {"host_names": "music.example.org"}]
)
def test_a_library_is_not_for_everybody(options: dict[str, Any]) -> None:
    """Behind a proxy, which only --host-names tells, 127.0.0.1 is open to the world."""
    with pytest.raises(ValueError, match=r"^--library lets visitors hear a whole library: give"):
        ServeConfig(**options, library="library.db", auth="none")
    assert ServeConfig(**options, library="library.db", auth="anna:secret").library
    assert ServeConfig(library="library.db").library  # for this computer alone


class Served(NamedTuple):
    """A page with a library: its address, a logged-in tab of chromium, the run and the music."""

    url: str
    tab: Any
    run: Path
    music: Path


@pytest.fixture(scope="module")
def served(heard: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "run").mkdir()
    model, index = folder / "run" / "model.onnx", folder / "library.db"
    model.write_bytes((heard / "model.onnx").read_bytes())
    for n, title in enumerate(("Deep", "<img src=x onerror=hacked=1>", "Depths", "High")):
        file = write_sound(folder / "music" / f"{n}.flac", "high" if n == 3 else "low", 3, n)
        tags = mutagen.File(file)
        tags.update({"title": title, "artist": "The Notes"})
        tags.save()
    options = ("--model", model, "--index", index)
    done = run_module("inference.library", "scan", folder / "music", *options)
    assert done.returncode == 0, done.stderr
    simulate(index, folder / "music")
    with page_of(model, "--library", index) as url, browser() as opened:
        yield Served(url, logged_in(opened, url), model.parent, folder / "music")


def simulate(index: Path, music: Path) -> None:
    """Add songs whose files are gone."""
    with Index(index) as opened:
        model = chosen_model(opened, None)
        rng = np.random.default_rng(0)
        for i in range(N_SIMULATED):
            path, named = music / f"gone {i:02}.mp3", {"high": 0.8, "low": 0.2}
            clip = ClipPrediction(0, 200, "high", 0.8, named, None)
            said = Prediction(str(path), "high", 0.8, named, timeline=(clip,))
            embedding = rng.standard_normal(len(opened.embeddings(model)[1][0])).astype(np.float32)
            unit = embedding / np.linalg.norm(embedding)
            found = Analysis(said, unit, rng.integers(0, 255, 16 * 64, dtype=np.uint8), None)
            opened.add(File(path, 1, 1, f"{i:064x}"), SongTags(artist="Nobody"), model, found)


def status(url: str, method: str = "GET", **headers: str) -> int:
    content = b"" if method == "POST" else None
    request = urllib.request.Request(url, content, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


@needs_chromium
@pytest.mark.slow
def test_without_the_password_nothing_is_told(served: Served, tmp_path: Path) -> None:
    stranger = served.tab.context.browser.new_page()  # without the cookies of the visitor
    stranger.goto(served.url)
    stranger.get_by_label("password").wait_for()
    found = violations(stranger, axe_program(tmp_path))
    assert [one for one in found if not one.startswith("document-title")] == []  # it is Gradio's
    stranger.close()
    for path in ("songs", "similar/1", "sound/1"):
        assert status(f"{served.url}/library/{path}") == 401
        assert status(f"{served.url}/library/{path}", Cookie="access-token-x=1") == 401
    assert status(f"{served.url}/library/correct/1?class=low", "POST") == 401
    assert not (served.run / "corrections.csv").exists()


@needs_chromium
@pytest.mark.slow
def test_a_song_comes_in_parts_and_nothing_else_comes(served: Served) -> None:
    """Addresses of the page, asked with the visitor's cookies."""
    ask = served.tab.request
    listed = ask.get(f"{served.url}/library/songs?words=deep").json()["songs"]
    assert [(song["title"], song["file"]) for song in listed] == [("Deep", "0.flac")]
    sound = f"{served.url}/library/sound/{listed[0]['id']}"
    part = ask.get(sound, headers={"range": "bytes=4-99"})
    content = (served.music / "0.flac").read_bytes()
    assert (part.status, part.body()) == (206, content[4:100])
    assert part.headers["content-type"] == "audio/flac"
    assert ask.get(sound).body() == content
    for path, code in (
        ("sound/999", 404), ("sound/..%2f..%2fetc%2fpasswd", 404), ("sound/" + "9" * 5000, 400),
        ("sound/-1", 400), ("similar/999", 404), ("songs?order=x", 400), ("songs?class=x", 200),
        ("songs?words=%22%00%FF%20*", 200),
    ):  # fmt: skip
        reply = ask.get(f"{served.url}/library/{path}")
        assert reply.status == code, path
        assert str(served.music) not in reply.text()
    correct = f"{served.url}/library/correct/{listed[0]['id']}?class="
    assert ask.post(f"{correct}polka").status == 400
    assert ask.post(f"{correct}low", headers={"origin": "http://evil.example"}).status == 403
    assert not (served.run / "corrections.csv").exists()


@needs_chromium
@pytest.mark.slow
def test_a_visitor_with_the_password_corrects_an_answer(served: Served, tmp_path: Path) -> None:
    song = write_sound(tmp_path / "song.wav", "low", 3, 5)
    tab = served.tab
    tab.locator("#file input[type=file]").set_input_files(song)
    tab.locator("#answer .player").wait_for()
    tab.get_by_role("button", name="This answer is wrong").click()
    assert tab.locator("#waiting").inner_text() == "No corrections yet."
    tab.get_by_label("It is really").click()
    tab.get_by_role("option", name="high").click()
    tab.get_by_role("button", name="Correct it").click()
    tab.get_by_text("Noted: high. 1 correction waits").wait_for()
    table = served.run / "corrections.csv"
    (said,) = read_corrections(table)
    assert (said.label, said.by, said.digest) == ("high", "anna", digest_of(song))
    assert file_of(said, table).read_bytes() == song.read_bytes()


@needs_chromium
@pytest.mark.slow
def test_a_library_is_searched_heard_compared_and_corrected(served: Served, tmp_path: Path) -> None:
    tab, axe, complaints = served.tab, axe_program(tmp_path), list[str]()
    tab.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    tab.reload()
    tab.get_by_role("tab", name="Library").click()
    rows, count = tab.locator("#library li"), tab.locator("#library .count")
    expect(count).to_have_text("64 songs, 1 to 50 shown")
    tab.get_by_role("button", name="Next songs").press("Enter")
    expect(count).to_have_text("64 songs, 51 to 64 shown")
    expect(rows).to_have_count(14)
    tab.get_by_label("Certainty").select_option("probably")
    expect(count).to_have_text("60 songs, 1 to 50 shown")
    tab.get_by_label("Certainty").select_option("Any certainty")
    tab.get_by_label("Search", exact=True).fill("notes dep")
    expect(rows.locator("b")).to_have_text(["Depths"])
    tab.get_by_role("button", name="Play: Depths").press("Enter")
    audio = tab.locator("#library audio")
    expect(audio).to_have_js_property("duration", 3)
    expect(audio).to_have_js_property("paused", False)
    tab.get_by_role("button", name="Similar: Depths").press("Enter")
    expect(rows).to_have_count(20)
    expect(rows.first).to_contain_text("The Notes")  # of the three low songs, not of random ones
    expect(rows.filter(has_text="<img src=x")).to_have_count(1)
    assert tab.evaluate("typeof hacked") == "undefined"
    tab.get_by_role("button", name="Back to the library").press("Enter")
    expect(rows).to_have_count(1)
    tab.get_by_role("button", name="Correct: Depths").press("Enter")
    tab.get_by_label("Depths is really").select_option("high")
    for width, scheme in ((1280, "dark"), (390, "light")):
        tab.set_viewport_size({"width": width, "height": 844})
        tab.emulate_media(color_scheme=scheme)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(tab, axe) == []
    tab.get_by_role("button", name="Save").press("Enter")
    expect(rows.first).to_contain_text("high, corrected; the model said low")
    said = read_corrections(served.run / "corrections.csv")[-1]
    assert (said.label, said.by) == ("high", "anna")
    assert said.path == str((served.music / "2.flac").resolve())
    assert complaints == []
    tab.get_by_label("Search", exact=True).fill("gone 07")
    tab.get_by_role("button", name="Play: gone 07").press("Enter")
    expect(count).to_have_text(re.compile("gone 07.mp3 is no longer there: scan anew"))
