"""python predict.py on recordings: a model trained here on sounds whose class is known."""

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from PIL import Image

from inference.clips import Preprocessing
from inference.output import tag
from inference.plot import clip_edges
from inference.prediction import LeftOut, Prediction
from predict import ClipPrediction, Predictor, load
from tests.helpers import ROOT, run_module, run_script
from tests.sounds import SR, notes, write_sound

pytestmark = pytest.mark.slow  # whole commands, or as long as these

MODELS = ["model.pth", "model.onnx"]


@pytest.fixture(scope="module")
def model(heard: Path) -> Predictor:
    return load(heard / "model.onnx")


@pytest.fixture
def high(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "song.flac", "high", 4.3, seed=7)


def predict_lines(heard: Path, *args: object, model: str = "model.onnx") -> list[list[str]]:
    done = run_script("predict.py", heard / model, *args)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("file", MODELS)
def test_a_song_gets_its_class_and_its_agreement(heard: Path, high: Path, file: str) -> None:
    ((path, answer, probability, agreement),) = predict_lines(heard, high, model=file)
    assert path == str(high)
    assert answer == "Predicted class: high"
    assert 0.5 < float(probability) <= 1
    assert agreement.endswith("of 8 clips agree")  # starts at 0, 0.5 ... 3 s, and 3.3 s


def test_onnx_and_torch_agree_within_a_thousandth(heard: Path, high: Path) -> None:
    a, b = (load(heard / file)(high) for file in MODELS)
    for name in ("high", "low"):
        assert a.probabilities[name] == pytest.approx(b.probabilities[name], abs=1e-3)
    assert [m.start_s for m in a.timeline] == [m.start_s for m in b.timeline]


def test_clips_cover_the_recording_and_their_mean_is_the_answer(
    model: Predictor, high: Path
) -> None:
    answer = model(high)
    assert answer.timeline[0].start_s == 0
    assert answer.timeline[-1].end_s == pytest.approx(4.25, abs=0.01)  # 17 notes of a quarter
    starts = [moment.start_s for moment in answer.timeline]
    assert np.diff(starts).max() <= 0.5
    mean = np.mean([moment.probabilities["high"] for moment in answer.timeline])
    assert answer.probabilities["high"] == pytest.approx(mean)


def test_a_clips_picture_is_the_one_that_render_writes(heard: Path, model: Predictor) -> None:
    """Predicting a recording and predicting the pictures rendered from it give the same clips."""
    source = heard.parent.parent / "audio/low/low3.wav"
    pictures = sorted((heard.parent.parent / "spectrograms/low").glob("low3__*.png"))
    clips = model(source, hop_seconds=1.0).timeline
    assert len(clips) == len(pictures) == 5
    for clip, picture in zip(clips, pictures, strict=True):
        assert clip.probabilities == pytest.approx(model(picture).probabilities, abs=1e-5)


def test_samples_and_pil_images_are_answered_as_their_files(
    heard: Path, model: Predictor, high: Path
) -> None:
    y, sr = soundfile.read(high)
    of_file, of_samples = model(high), model(y, sr=sr)
    assert of_samples.probabilities == pytest.approx(of_file.probabilities, abs=1e-6)
    assert len(of_samples.timeline) == len(of_file.timeline)
    assert of_samples.path == "samples"
    stereo = model(np.stack([y, y], axis=1).astype(np.float32), sr=sr)
    assert stereo.probabilities == pytest.approx(of_file.probabilities, abs=1e-5)
    file = min((heard.parent.parent / "spectrograms/low").glob("*.png"))
    with Image.open(file) as image:
        assert model(image).probabilities == model(file).probabilities


def test_a_list_of_values_is_answered_in_order_and_says_which_cannot(
    heard: Path, model: Predictor, high: Path
) -> None:
    y, sr = soundfile.read(high)
    file = min((heard.parent.parent / "spectrograms/low").glob("*.png"))
    with Image.open(file) as image:
        picture, samples, path, lost, empty = model(
            [image, y, str(high), "nowhere.mp3", y[:1]], sr=sr
        )
    assert isinstance(picture, Prediction) and isinstance(samples, Prediction)
    assert picture.probabilities == pytest.approx(model(file).probabilities, abs=1e-6)
    assert samples.probabilities == pytest.approx(model(high).probabilities, abs=1e-6)
    assert (picture.path, samples.path, path.path) == ("picture 0", "samples 1", str(high))
    assert isinstance(lost, LeftOut) and lost.reason == "nowhere.mp3: no such file"
    assert empty.path == "samples 4"


def test_what_cannot_be_answered_says_what_was_expected(model: Predictor) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file at nowhere\.mp3"):
        model("nowhere.mp3")
    with pytest.raises(ValueError, match=r"sr=None: samples need their rate"):
        model(np.zeros(8000))
    with pytest.raises(ValueError, match=r"shape \(2, 8000\); expected .* give y\.T"):
        model(np.zeros((2, 8000)), sr=8000)
    with pytest.raises(ValueError, match="samples of type int16"):
        model(np.zeros(8000, np.int16), sr=8000)


def test_clips_of_a_song_are_explained_in_its_seconds(
    heard: Path, high: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no sound")
    done = run_module("inference.explain", heard, high, broken, "--clips", "2", "--out", tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith(f"error: {broken}: ")
    *files, page = (Path(line) for line in done.stdout.splitlines())
    assert [file.parent for file in files] == [tmp_path, tmp_path]
    assert page == tmp_path / "explanation.html"
    first, second = (re.fullmatch(rf"{high.stem}__(\d+)s\.png", file.name) for file in files)
    assert first and second and int(first[1]) < int(second[1])
    for file in files:
        with Image.open(file) as image:
            assert min(image.size) > 300


def test_the_timeline_changes_class_at_the_joint(model: Predictor, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    joined = np.concatenate([notes("high", 12, rng), notes("low", 12, rng)])
    soundfile.write(tmp_path / "both.wav", joined, SR)
    timeline = model(tmp_path / "both.wav").timeline
    before = [m.label for m in timeline if m.end_s <= 12]
    after = [m.label for m in timeline if m.start_s >= 12]
    assert set(before) == {"high"}
    assert set(after) == {"low"}


def test_timeline_plot_table_and_json(heard: Path, high: Path, tmp_path: Path) -> None:
    table, drawn = tmp_path / "t.csv", tmp_path / "p.png"
    options = ("--timeline", "--csv", table, "--plot", drawn, "--hop", "1")
    lines = predict_lines(heard, high, *options)
    assert [line[1] for line in lines[1:]] == [
        "0:00-0:01", "0:01-0:02", "0:02-0:03", "0:03-0:04", "0:03-0:04",
    ]  # fmt: skip
    with table.open(newline="") as rows:
        ends = [float(row["end_s"]) for row in csv.DictReader(rows)]
    assert ends == [1.0, 2.0, 3.0, 4.0, 4.25]
    with Image.open(drawn) as image:
        assert image.width > image.height > 300
    done = run_script("predict.py", heard / "model.onnx", high, "--jsonl", "--timeline")
    answer = json.loads(done.stdout)
    assert answer["class"] == "high"
    assert answer["seconds"] == 4.25
    assert len(answer["timeline"]) == 8


def test_a_clip_is_drawn_around_its_middle() -> None:
    """Of clips that overlap by half, each tells most of its own middle half."""
    moments = [
        ClipPrediction(start, start + 10, "a", 1, {"a": 1}, None) for start in (0, 5, 10, 12)
    ]
    assert clip_edges(moments) == [0, 7.5, 12.5, 16, 22]
    assert clip_edges(moments[:1]) == [0, 10]


def test_standard_input_is_a_song_or_a_picture(heard: Path, high: Path) -> None:
    picture = next((heard.parent.parent / "spectrograms/low").glob("*.png"))
    for file, label in ((high, "high"), (picture, "low")):
        done = subprocess.run(
            [sys.executable, ROOT / "predict.py", heard / "model.onnx", "-"],
            input=file.read_bytes(), capture_output=True, check=True,
        )  # fmt: skip
        assert done.stdout.decode().startswith(f"-\tPredicted class: {label}\t")


def test_folders_are_searched_and_sorted_into_playlists(heard: Path, tmp_path: Path) -> None:
    music, lists = tmp_path / "music", tmp_path / "lists"
    for label in ("high", "low"):
        write_sound(music / "a" / f"{label}.ogg", label, 2, seed=1)
    Image.new("RGB", (9, 9)).save(music / "a" / "cover.png")
    done = run_script("predict.py", heard / "model.onnx", music, "--sort", lists)
    assert done.returncode == 0, done.stderr
    assert "1 pictures beside them are passed over" in done.stderr
    for label in ("high", "low"):
        entries = (lists / f"{label}.m3u8").read_text(encoding="utf-8").splitlines()
        assert entries == ["#EXTM3U", str((music / "a" / f"{label}.ogg").resolve())]


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".wav"])
def test_tags_only_when_asked_and_likely(heard: Path, tmp_path: Path, suffix: str) -> None:
    song = write_sound(tmp_path / f"x{suffix}", "high", 2, seed=3)
    untouched, sound = song.read_bytes(), soundfile.read(song)[0]
    for options in ([], ["--tag", "--dry-run"]):
        done = run_script("predict.py", heard / "model.onnx", song, *options)
        assert done.returncode == 0, done.stderr
        assert song.read_bytes() == untouched
        assert ("genre would change from nothing to high" in done.stderr) == bool(options)
    unlikely = replace(load(heard / "model.onnx")(song), probability=0.4)
    assert "only 0.40, less than 0.50" in tag(unlikely, 0.5, dry_run=False)
    assert song.read_bytes() == untouched
    done = run_script("predict.py", heard / "model.onnx", song, "--tag")
    assert "genre changed from nothing to high" in done.stderr
    tags = mutagen.File(song).tags
    assert str(tags["TCON"] if "TCON" in tags else tags["genre"][0]) == "high"
    assert np.array_equal(soundfile.read(song)[0], sound)
    assert [file.name for file in tmp_path.iterdir()] == [song.name]


def test_what_is_no_music_is_unsure_and_says_why(heard: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "a silence.wav", np.zeros(3 * SR), SR)
    soundfile.write(tmp_path / "b noise.wav", 0.1 * rng.standard_normal(3 * SR), SR)
    noise = rng.normal(128, 50, (48, 64, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "c.png")
    files = [tmp_path / name for name in ("a silence.wav", "b noise.wav", "c.png")]
    answers = [line[1] for line in predict_lines(heard, *files)]
    assert answers[0].startswith("Unsure, 5 of 5 clips: it is blank")
    assert answers[1].startswith("Unsure, ")
    assert answers[2].startswith("Unsure, its colours are not")
    lists = tmp_path / "lists"
    predict_lines(heard, *files, "--sort", lists, "--tag")
    assert [file.name for file in lists.iterdir()] == ["unsure.m3u8"]


def test_a_model_of_foreign_pictures_says_so(stripes: Path, trained: object, high: Path) -> None:
    done = run_script("predict.py", trained.folder / "model.onnx", high)  # type: ignore[attr-defined]
    assert done.returncode == 1
    assert "no rendering settings" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_network_that_hears_levels_is_unsure_of_other_drawings(
    heard: Path, tmp_path: Path
) -> None:
    facts = load(heard / "model.onnx").facts
    drawing = replace(facts.image.drawing, shown="gray")
    facts = replace(facts, novelty=None)
    hears = Preprocessing(replace(facts, inputs=replace(facts.image, drawing=drawing)))
    own = next((heard.parent.parent / "spectrograms").glob("*/*.png"))
    other = tmp_path / "other.png"
    with Image.open(own) as picture:
        picture.resize((picture.width, 2 * picture.height)).save(other)
        width, height = picture.size
    assert hears.of_picture(str(own)).unsure is None
    expected = f"it has {width}x{2 * height} pixels, the training pictures {width}x{height}"
    assert hears.of_picture(str(other)).unsure == expected
    assert Preprocessing(facts).of_picture(str(other)).unsure is None  # it looks at pictures


def test_onnx_on_sound_imports_nothing_heavy(heard: Path, high: Path) -> None:
    heavy = "{'torch', 'timm', 'matplotlib', 'librosa', 'numba', 'sklearn', 'gradio', 'mutagen'}"
    code = (
        "import sys; from predict import load; "
        f"load({str(heard / 'model.onnx')!r})({str(high)!r}); print({heavy} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dry-run"], "give --tag as well"),
        (["--hop", "0"], "--hop 0.0"),
        (["--json", "--jsonl"], "give one of them"),
        (["--min-probability", "2"], "--min-probability 2.0"),
    ],
)
def test_wrong_usage_is_one_line(heard: Path, options: list[str], said: str) -> None:
    done = run_script("predict.py", heard / "model.onnx", "x.mp3", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_onnxruntime_keeps_no_record_of_its_use(heard: Path, high: Path, tmp_path: Path) -> None:
    """It counts sessions in a file of the temporary folder when it reports to its makers."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    subprocess.run(
        [sys.executable, ROOT / "predict.py", heard / "model.onnx", high],
        env=os.environ | {"TMPDIR": str(scratch)}, capture_output=True, check=True,
    )  # fmt: skip
    assert list(scratch.iterdir()) == []
