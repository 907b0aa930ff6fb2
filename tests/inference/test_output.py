"""Answers as lines, tables, JSON and playlists, for files with any name."""

import csv
import io
import json
import urllib.parse
from pathlib import Path

from inference.output import Table, as_dict, as_json, lines_of, write_playlists
from inference.prediction import ClipPrediction, Prediction

NASTY = "/music/a\nb\t\x1b[31m\u202egpj.\udcff.mp3"
CLASSES = ("rock\x1b[0m", "blues")
CLIP = ClipPrediction(0.0, 10.0, CLASSES[0], 0.75, {CLASSES[0]: 0.75, "blues": 0.25}, "odd\x07")
ANSWER = Prediction(NASTY, CLASSES[0], 0.75, CLIP.probabilities, None, 1.0, (CLIP,))
HARMFUL = set("\x1b\t\x07\u202e\udcff")


def test_lines_have_nothing_but_their_own_tabs() -> None:
    lines = list(lines_of(ANSWER, 2, timeline=True))
    assert [line.count("\t") for line in lines] == [3, 2, 3]
    assert not any((HARMFUL - {"\t"}) & set(line) or "\n" in line for line in lines)
    assert lines[0].startswith("/music/a\\u000ab\\u0009\\u001b[31m\\u202egpj.\\udcff.mp3\t")


def test_a_table_has_one_line_for_each_answer() -> None:
    out = io.StringIO()
    table = Table(out, CLASSES, timeline=True)
    table.add(ANSWER)
    assert out.getvalue().count("\n") == 2
    assert not (HARMFUL - {"\t"}) & set(out.getvalue())
    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert row["class"] == "rock\\u001b[0m"
    assert float(row["rock\\u001b[0m"]) == 0.75


def test_json_brings_the_name_back() -> None:
    text = as_json([as_dict(ANSWER, timeline=True)], indent=1)
    assert not HARMFUL & set(text)
    assert json.loads(text)[0]["path"] == NASTY


def test_a_playlist_has_one_line_for_each_file(tmp_path: Path) -> None:
    plain = Prediction("/music/Björk.mp3", "blues", 0.9, {"blues": 0.9})
    nasty = Prediction(NASTY.replace("\udcff", ""), "blues", 0.9, {"blues": 0.9})
    (file,) = write_playlists(tmp_path, [plain, nasty])
    head, first, second = file.read_text(encoding="utf-8").splitlines()
    assert (head, first) == ("#EXTM3U", "/music/Björk.mp3")
    assert urllib.parse.unquote(second) == "file://" + nasty.path
    assert write_playlists(tmp_path, [ANSWER])[0].name == "rock\u005f[0m.m3u8"
