"""A whole run: what it writes, that it can be resumed and checked, and what it refuses."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from render import RenderSettings, pictures_of, table
from render.check import faults
from render.clips import ClipSettings
from render.recordings import from_folders, named
from render.run import render_folder
from tests.render_helpers import SR, collection, contents, noise, tone, write

ROOT = Path(__file__).parent.parent
SMALL = RenderSettings(clip_seconds=1.0, n_fft=512, n_mels=32)


def render(audio: Path, out: Path, placing: ClipSettings | None = None, **settings):
    s = RenderSettings(**({"clip_seconds": 1.0, "n_fft": 512, "n_mels": 32} | settings))
    return render_folder(
        list(named(from_folders(audio))), out, s, placing or ClipSettings(), jobs=1
    )


def cli(*arguments: object, seed: str = "0") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "render", *map(str, arguments)]
    env = os.environ | {"PYTHONHASHSEED": seed}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


FLAGS = ("--clip-seconds", "1", "--n-fft", "512", "--n-mels", "32")


def test_tables_and_pictures_agree_and_check_says_so(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 2, "b": 1})
    summary = render(audio, tmp_path / "out")
    rows = table.read_csv(tmp_path / "out" / "clips.csv")
    assert summary.made == len(rows) == 9 and summary.clips == {"a": 6, "b": 3}
    assert [(r["start_s"], r["end_s"]) for r in rows[:3]] == [
        ("0.000", "1.000"), ("1.000", "2.000"), ("1.500", "2.500"),
    ]  # fmt: skip
    assert faults(tmp_path / "out") == []


def test_check_names_missing_changed_and_foreign_pictures(tmp_path):
    render(collection(tmp_path / "audio", {"a": 1}), tmp_path / "out")
    first, second, third = sorted((tmp_path / "out" / "a").glob("*.png"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-20])
    third.with_name("x.png").write_bytes(third.read_bytes())
    text = "\n".join(faults(tmp_path / "out"))
    assert "missing" in text and "changed since" in text and "not in clips.csv" in text
    assert cli("--check", tmp_path / "out").returncode == 1


def test_second_run_makes_only_what_is_missing_or_changed(tmp_path):
    audio, out = collection(tmp_path / "audio", {"a": 2, "b": 2}), tmp_path / "out"
    render(audio, out)
    before = contents(out)
    assert render(audio, out).unchanged == 4
    (out / "a" / "a00__001.png").unlink()
    summary = render(audio, out)
    assert (summary.made, summary.unchanged) == (3, 3) and contents(out) == before
    write(audio / "b" / "b00.wav", noise(1.0, seed=9))
    summary = render(audio, out)
    assert (summary.made, summary.unchanged) == (1, 3)
    assert [p.name for p in out.glob("b/b00*")] == ["b00__000.png"] and faults(out) == []


def test_changed_settings_are_refused_with_the_difference(tmp_path):
    audio, out = collection(tmp_path / "audio", {"a": 1}), tmp_path / "out"
    render(audio, out)
    with pytest.raises(ValueError, match="n_mels 32 -> 16"):
        render(audio, out, n_mels=16)
    with pytest.raises(ValueError, match=r"clips\.seed 123 -> 5"):
        render(audio, out, ClipSettings(seed=5))


def test_hash_seed_and_number_of_processes_do_not_show(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 3, "b": 3})
    extra = ("--clips-per-recording", 2, "--at", "random")
    for name, jobs, seed in (("one", 1, "1"), ("two", 2, "2")):
        done = cli(audio, "--out", tmp_path / name, "--jobs", jobs, *FLAGS, *extra, seed=seed)
        assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_killed_run_and_a_second_give_the_same_bytes(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 12, "b": 12}, seconds=20)
    render(audio, tmp_path / "whole")
    command = [sys.executable, "-m", "render", str(audio), "--out", str(tmp_path / "out")]
    killed = 0
    for _ in range(3):
        process = subprocess.Popen([*command, "--jobs", "1", *FLAGS], cwd=ROOT)
        pictures = len(list((tmp_path / "out").glob("*/*.png")))
        while process.poll() is None:
            if len(list((tmp_path / "out").glob("*/*.png"))) >= pictures + 60:
                process.kill()
                killed += 1
                break
            time.sleep(0.005)
        process.wait()
    assert killed > 0
    assert cli(audio, "--out", tmp_path / "out", "--jobs", 1, *FLAGS).returncode == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_hostile_inputs_are_each_named_with_a_reason(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 1}) / "a"
    (audio / "empty.wav").write_bytes(b"")
    (audio / "text.wav").write_text("not sound")
    write(audio / "none.wav", np.zeros(0, dtype=np.float32))
    write(audio / "slow.wav", tone(10, 5, sr=100), sr=100)
    write(audio / "nan.wav", np.full(SR, np.nan, dtype=np.float32), subtype="FLOAT")
    header = bytearray((audio / "a00.wav").read_bytes())
    header[22:24] = b"\0\0"
    (audio / "channels.wav").write_bytes(header)
    (audio / "gone.wav").symlink_to(audio / "nowhere.wav")
    (audio / "loop").symlink_to(audio, target_is_directory=True)
    (audio / "self.wav").symlink_to(audio / "self.wav")
    write(audio / "ünï__ćodé ♫.wav", noise(1.0))
    done = cli(audio.parent, "--out", tmp_path / "out", *FLAGS, "--jobs", 1)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    failures = table.read_csv(tmp_path / "out" / "failures.csv")
    names = ("channels", "empty", "gone", "nan", "none", "self", "slow", "text")
    assert [row["source"] for row in failures] == [f"a/{name}.wav" for name in names]
    assert all(row["reason"] for row in failures)
    assert (tmp_path / "out" / "a" / "ünï_ćodé ♫__000.png").is_file()


def test_a_truncated_recording_keeps_its_clips_and_is_named(tmp_path):
    path = write(tmp_path / "audio" / "a" / "cut.wav", noise(10.0))
    path.write_bytes(path.read_bytes()[: 44 + 2 * SR * 3])
    summary = render(tmp_path / "audio", tmp_path / "out")
    assert summary.clips == {"a": 3}


@pytest.mark.parametrize(
    ("short", "said"), [("repeat", "repeated"), ("pad", "padded"), ("skip", "")]
)
def test_short_recordings_are_filled_or_left_out_and_the_table_says_so(tmp_path, short, said):
    write(tmp_path / "audio" / "a" / "x.wav", noise(0.4))
    summary = render(tmp_path / "audio", tmp_path / "out", short=short)
    rows = table.read_csv(tmp_path / "out" / "clips.csv")
    assert [row["filled"] for row in rows] == ([said] if said else [])
    assert len(summary.failures) == (0 if said else 1)


def test_silence_and_clipping_are_flagged(tmp_path):
    write(tmp_path / "audio" / "a" / "loud.wav", np.clip(tone(440, amplitude=5.0), -1, 1))
    write(tmp_path / "audio" / "a" / "mute.wav", np.zeros(SR, dtype=np.float32))
    render(tmp_path / "audio", tmp_path / "out")
    loud, mute = table.read_csv(tmp_path / "out" / "clips.csv")
    assert (loud["clipped"], loud["silent"]) == ("yes", "")
    assert (mute["clipped"], mute["silent"]) == ("", "yes")


def test_prediction_sees_the_pictures_that_training_saw(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 1})
    render(audio, tmp_path / "out")
    made = sorted((tmp_path / "out" / "a").glob("*.png"))
    from render.picture import png_bytes

    for path, (_, _, image) in zip(made, pictures_of(audio / "a" / "a00.wav", SMALL), strict=True):
        assert path.read_bytes() == png_bytes(image)


def test_wrong_usage_and_wrong_folders_are_one_line(tmp_path):
    for arguments, code in (
        ([tmp_path / "nope"], 1), ([tmp_path], 1), ([], 2), ([tmp_path, "--channels", "x"], 2),
    ):  # fmt: skip
        done = cli(*arguments, "--out", tmp_path / "out")
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr


def test_dry_run_makes_nothing_and_tells_what_a_run_makes(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 1, "b": 2})
    done = cli(audio, "--out", tmp_path / "out", *FLAGS, "--dry-run")
    assert "9 pictures" in done.stdout and not (tmp_path / "out").exists()
    assert render(audio, tmp_path / "out").made == 9


def test_preview_draws_a_picture(tmp_path):
    path = write(tmp_path / "x.wav", noise(2.5))
    done = cli("--preview", path, "--out", tmp_path, *FLAGS, "--channels", "mel,log,stft")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.preview.png").stat().st_size > 10_000
