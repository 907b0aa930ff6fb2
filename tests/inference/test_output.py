"""Answers as lines, tables, JSON and playlists, for files with any name."""

import csv
import io
import json
import urllib.parse
from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.output import Table, as_dict, as_json, lines_of, sentence, tag, write_playlists
from inference.prediction import ClipPrediction, Prediction, of_recording
from render.audio.tags import genres_of
from tests.sounds import write_sound
from train.evaluate.calibration import LabelCalibration

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


SHARES = np.array([[0.9, 0.2, 0.6], [0.1, 0.25, 0.2]])
CHOSEN = LabelCalibration(slopes=(1.0,) * 3, offsets=(0.0,) * 3, thresholds=(0.5, 0.21, 0.4))


def with_labels(rows: np.ndarray) -> Prediction:
    """The answer for a recording of two clips by a model of several labels."""
    spans = [(0.0, 5.0), (5.0, 10.0)]
    return of_recording("x.flac", ("a", "b", "c"), spans, rows, [None, None], CHOSEN)


def test_all_classes_from_their_thresholds_on_are_the_answer() -> None:
    """Of the mean of the clips (0.5, 0.225, 0.4): each just reaches its own threshold."""
    p = with_labels(SHARES)
    assert p.label == "a;b;c" and p.labels == ("a", "c", "b")
    assert [clip.label for clip in p.timeline] == ["a;c", "b"] and p.agreement == 1
    lines = [line.split("\t")[1:3] for line in lines_of(p, 1, timeline=False)]
    assert lines == [[f"Predicted class: {name}", shown] for name, shown in
                     (("a", "0.5000"), ("c", "0.4000"), ("b", "0.2250"))]  # fmt: skip
    assert sentence(p) == "a (50%), c (40%) and b (22%)."
    assert as_dict(p, timeline=False)["classes"] == ["a", "c", "b"]


def test_an_answer_of_no_class_says_so(tmp_path: Path) -> None:
    p = with_labels(SHARES / 10)
    assert (p.label, p.labels, p.verdict, p.mixed) == ("", (), "none", False)
    (line,) = lines_of(p, 1, timeline=False)
    assert "No class reaches its threshold; nearest: a\t0.0500" in line
    assert sentence(p).startswith("None of the classes. The nearest is a (5%)")
    assert as_dict(p, timeline=False)["classes"] == []
    assert [file.name for file in write_playlists(tmp_path, [p])] == ["none.m3u8"]


def test_labels_that_are_likely_enough_become_genres(tmp_path: Path) -> None:
    p = replace(with_labels(SHARES), path=str(write_sound(tmp_path / "x.flac", "low", 1, seed=0)))
    assert "genre would change from nothing to a, c" in tag(p, 0.3, dry_run=True)
    assert genres_of(Path(p.path)) == ()
    tag(p, 0.3, dry_run=False)
    assert genres_of(Path(p.path)) == ("a", "c")
    assert "left as it is: a;b;c has only 0.50" in tag(p, 0.6, dry_run=False)
    nothing = replace(with_labels(SHARES / 10), path=p.path)
    assert "no class reaches its threshold" in tag(nothing, 0.0, dry_run=False)
    assert genres_of(Path(p.path)) == ("a", "c")
