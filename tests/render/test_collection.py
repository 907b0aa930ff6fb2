"""A whole run: what it writes, that it can be resumed and checked, and what it refuses."""

import numpy as np
import pytest

from render import RenderSettings, pictures_of
from render.audio.clips import ClipSettings
from render.output.check import faults
from render.output.clip_table import read_rows
from tests.render_helpers import FLAGS, SR, cli, collection, noise, render, tone, write

SMALL = RenderSettings(clip_seconds=1.0, n_fft=512, n_mels=32)


def test_tables_and_pictures_agree_and_check_says_so(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 2, "b": 1})
    summary = render(audio, tmp_path / "out")
    rows = read_rows(tmp_path / "out" / "clips.csv")
    assert summary.made == len(rows) == 9 and summary.clips == {"a": 6, "b": 3}
    assert [(r["start_s"], r["end_s"]) for r in rows[:3]] == [
        ("0.000", "1.000"),
        ("1.000", "2.000"),
        ("1.500", "2.500"),
    ]
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


def test_changed_settings_are_refused_with_the_difference(tmp_path):
    audio, out = collection(tmp_path / "audio", {"a": 1}), tmp_path / "out"
    render(audio, out)
    with pytest.raises(ValueError, match="n_mels 32 -> 16"):
        render(audio, out, n_mels=16)
    with pytest.raises(ValueError, match=r"clips\.seed 123 -> 5"):
        render(audio, out, ClipSettings(seed=5))


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
    rows = read_rows(tmp_path / "out" / "clips.csv")
    assert [row["filled"] for row in rows] == ([said] if said else [])
    assert len(summary.failures) == (0 if said else 1)


def test_silence_and_clipping_are_flagged(tmp_path):
    write(tmp_path / "audio" / "a" / "loud.wav", np.clip(tone(440, amplitude=5.0), -1, 1))
    write(tmp_path / "audio" / "a" / "mute.wav", np.zeros(SR, dtype=np.float32))
    render(tmp_path / "audio", tmp_path / "out")
    loud, mute = read_rows(tmp_path / "out" / "clips.csv")
    assert (loud["clipped"], loud["silent"]) == ("yes", "")
    assert (mute["clipped"], mute["silent"]) == ("", "yes")


def test_prediction_sees_the_pictures_that_training_saw(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 1})
    render(audio, tmp_path / "out")
    made = sorted((tmp_path / "out" / "a").glob("*.png"))
    from render.spectrogram.image import png_bytes

    for path, (_, _, image) in zip(made, pictures_of(audio / "a" / "a00.wav", SMALL), strict=True):
        assert path.read_bytes() == png_bytes(image)


def test_wrong_usage_and_wrong_folders_are_one_line(tmp_path):
    for arguments, code in (
        ([tmp_path / "nope"], 1),
        ([tmp_path], 1),
        ([], 2),
        ([tmp_path, "--channels", "x"], 2),
    ):
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
