"""Decoding: the same samples however they come, in bounded memory, and clips as they stream by."""

import shutil
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from render import RenderSettings, pictures_of
from render.audio.decode import DecodeError, decode_stream, probe
from render.audio.stream import cut, fill, windows
from tests.helpers import ROOT
from tests.render_helpers import SR, noise, tone, write

pytestmark = pytest.mark.slow  # whole commands, or as long as these

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def decoded(path: Path, sr: int = SR) -> np.ndarray:
    return np.concatenate(list(decode_stream(path, sr)))


# librosa's other decoder, which is not used here, imports modules that Python is to lose
@pytest.mark.filterwarnings("ignore:'(aifc|audioop|sunau)':DeprecationWarning")
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("sr", [22_050, 44_100, 48_000])
def test_decoding_in_chunks_is_librosas_load(tmp_path, suffix, sr):
    stereo = np.stack([noise(8.0, sr), tone(440, 8.0, sr)], axis=1)
    path = write(tmp_path / f"x.{suffix}", stereo, sr)
    theirs, _ = librosa.load(path, sr=SR, mono=True)
    ours = decoded(path)
    assert abs(len(ours) - len(theirs)) <= 2
    n = min(len(ours), len(theirs))
    np.testing.assert_allclose(ours[:n], theirs[:n], atol=2e-4)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["m4a", "mp4", "mka"])
def test_what_libsndfile_cannot_read_comes_through_ffmpeg(tmp_path, suffix):
    wav = write(tmp_path / "x.wav", tone(440, 3.0))
    path = tmp_path / f"x.{suffix}"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-c:a", "aac", path], check=True)
    y = decoded(path)
    assert len(y) == pytest.approx(3 * SR, abs=3000)
    spectrum = np.abs(np.fft.rfft(y[SR : 2 * SR]))
    assert spectrum.argmax() == 440


def test_an_mp3_of_four_bytes_is_not_called_missing(tmp_path):
    path = tmp_path / "x.mp3"
    path.write_bytes(b"ID3\x03")
    with pytest.raises(DecodeError, match="cannot be decoded: it holds no sound of its format"):
        probe(path)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["hls.mp3", "hls.m3u8", "dash.mp4", "concat.m4a"])
def test_a_playlist_does_not_have_other_files_of_this_computer_read(tmp_path, name):
    """ffmpeg would follow it, and the page would draw a sound that its visitor does not have."""
    wav, secret = write(tmp_path / "x.wav", tone(440, 2.0)), tmp_path / "secret.ts"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-c:a", "aac", secret], check=True)
    assert 2 <= len(decoded(secret)) / SR < 2.2
    playlists = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n",
        "dash": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static' "
        "mediaPresentationDuration='PT2S' profiles='urn:mpeg:dash:profile:isoff-on-demand:2011'>"
        "<Period><AdaptationSet contentType='audio'><Representation id='1' bandwidth='1000'>"
        f"<BaseURL>file://{secret}</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "concat": "ffconcat version 1.0\nfile secret.ts\n",
    }
    path = tmp_path / name
    path.write_text(playlists[path.stem])
    with pytest.raises(DecodeError, match="cannot be decoded"):
        decoded(path)


@needs_ffmpeg
def test_a_file_that_was_streamed_has_the_length_that_it_has(tmp_path):
    """What browsers record and what comes out of a pipe has no length in its header."""
    wav = write(tmp_path / "x.wav", tone(440, 3.0))
    for name, codec in (("x.webm", "libopus"), ("x.mkv", "flac"), ("x.flac", "flac")):
        kind = "matroska" if name == "x.mkv" else name[2:]
        encode = f"cat {wav} | ffmpeg -v error -i - -c:a {codec} -f {kind}"
        live = "" if kind == "flac" else " -live 1"
        subprocess.run(f"{encode}{live} pipe:1 | cat > {tmp_path / name}", shell=True, check=True)
        assert probe(tmp_path / name).seconds == pytest.approx(3, abs=0.05), name
        y = decoded(tmp_path / name)
        assert len(y) == pytest.approx(3 * SR, abs=1000), name
        assert np.abs(np.fft.rfft(y[SR : 2 * SR])).argmax() == 440, name


@needs_ffmpeg
@pytest.mark.parametrize("second_rate", [SR, 2 * SR])
def test_every_link_of_a_chained_ogg_is_heard(tmp_path, second_rate):
    one = write(tmp_path / "one.ogg", tone(440, 2.0)).read_bytes()
    two = write(tmp_path / "two.ogg", tone(880, 3.0, second_rate), second_rate).read_bytes()
    path = tmp_path / "chain.ogg"
    path.write_bytes(one + two)
    assert probe(path).seconds == pytest.approx(5, abs=0.1)
    y = decoded(path)
    assert len(y) == pytest.approx(5 * SR, abs=2000)
    for start, hz in ((SR // 2, 440), (3 * SR, 880)):
        assert np.abs(np.fft.rfft(y[start : start + SR])).argmax() == hz


def test_a_chained_ogg_without_ffmpeg_is_refused_and_not_cut(tmp_path, monkeypatch):
    path = write(tmp_path / "one.ogg", tone(440, 1.0))
    assert probe(path).decoder == "soundfile"
    path.write_bytes(2 * path.read_bytes())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DecodeError, match="ffmpeg"):
        probe(path)


def test_without_ffmpeg_the_reason_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    path = tmp_path / "x.m4a"
    path.write_bytes(b"\0" * 100)
    with pytest.raises(DecodeError, match="ffmpeg might read it"):
        probe(path)


@pytest.mark.parametrize("chunk", [1, 7, 100, 1000])
def test_windows_and_cut_do_not_depend_on_the_chunks(chunk):
    y = np.arange(257, dtype=np.float32)
    chunks = [y[i : i + chunk] for i in range(0, len(y), chunk)]
    found = list(windows(chunks, 50, 30))
    assert [start for start, _, _ in found] == [*range(0, 208, 30), 207]
    for start, end, piece in found:
        np.testing.assert_array_equal(piece, y[start:end])
    pieces = [(200, 50), (0, 10), (5, 40), (240, 50), (300, 10)]
    got = dict(cut(chunks, pieces))
    for i, (start, length) in enumerate(pieces):
        np.testing.assert_array_equal(got[i], y[start : start + length])


def test_fill_repeats_or_pads():
    y = np.array([1, 2, 3], dtype=np.float32)
    assert fill(y, 7, "repeat").tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert fill(y, 5, "pad").tolist() == [1, 2, 3, 0, 0]


@pytest.mark.parametrize("channels", ["mel", "log", "stft:1024", "mel:512,mel:2048,mel:8192"])
def test_plain_pictures_need_no_heavy_module(tmp_path, channels):
    """predict.py starts in a third of a second because librosa's parts are imported when used."""
    path = write(tmp_path / "x.flac", noise(2.0))
    code = (
        "import sys; from render import RenderSettings, pictures_of;"
        "s = RenderSettings(clip_seconds=1.0, channels=sys.argv[2]);"
        "print(len(list(pictures_of(sys.argv[1], s))), *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, channels],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    count, *modules = done.stdout.split()
    heavy = {"librosa", "numba", "matplotlib", "torch", "pandas", "sklearn", "joblib"}
    heavy |= {"scipy.signal", "scipy.stats", "scipy.ndimage"}
    assert count == "2" and not heavy & set(modules)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_mono_is_the_mean_of_the_channels(tmp_path, channels):
    y = np.random.default_rng(0).uniform(-1, 1, (5000, channels)).astype(np.float32)
    path = write(tmp_path / "x.wav", y, subtype="FLOAT")
    np.testing.assert_allclose(decoded(path), y.mean(axis=1), atol=1e-6)


def test_pictures_cover_a_recording_to_its_end(tmp_path):
    path = write(tmp_path / "x.flac", noise(3.4))
    s = RenderSettings(clip_seconds=1.0)
    spans = [(round(a, 3), round(b, 3)) for a, b, _ in pictures_of(path, s, hop_seconds=0.8)]
    assert spans == [(0, 1), (0.8, 1.8), (1.6, 2.6), (2.4, 3.4)]
    (tmp_path / "y.wav").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"y\.wav: cannot be decoded"):
        next(pictures_of(tmp_path / "y.wav", s))


def test_samples_whose_power_would_overflow_are_refused(tmp_path):
    loud = np.full((4000, 1), 1e30, np.float32)
    path = tmp_path / "x.wav"
    soundfile.write(path, loud, SR, subtype="FLOAT")
    with pytest.raises(DecodeError, match=r"samples of 1e\+30; expected -1 to 1"):
        decoded(path)
