"""That nothing is lost, mixed up or silently changed: second runs, kills, hostile inputs."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from render.output.check import faults
from render.output.clip_table import ClipRow, read_rows
from render.output.journal import Entry, Journal
from tests.helpers import ROOT
from tests.render_helpers import FLAGS, SR, cli, collection, contents, noise, render, tone, write

pytestmark = pytest.mark.slow  # whole commands, or as long as these

linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


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


def test_an_edit_that_keeps_the_size_is_seen_and_a_touched_or_moved_file_is_not_rendered_anew(
    tmp_path,
):
    audio, out = collection(tmp_path / "audio", {"a": 1, "b": 1}, seconds=9), tmp_path / "out"
    render(audio, out)
    os.utime(audio / "a" / "a00.wav", (1, 1))
    assert render(audio, out).unchanged == 2
    audio.rename(tmp_path / "moved")
    assert render(tmp_path / "moved", out).unchanged == 2
    edited = tmp_path / "moved" / "b" / "b00.wav"
    content = bytearray(edited.read_bytes())
    content[120_000:130_000] = bytes(10_000)  # neither at an end nor in the middle
    edited.write_bytes(content)
    os.utime(edited, ns=(0, (audio.parent / "out" / "clips.csv").stat().st_mtime_ns))
    assert render(tmp_path / "moved", out).unchanged == 1


def test_what_could_not_be_decoded_is_tried_again(tmp_path, monkeypatch):
    audio, out = collection(tmp_path / "audio", {"a": 1}), tmp_path / "out"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", audio / "a" / "a00.wav", audio / "a" / "x.m4a"], check=True
    ) if shutil.which("ffmpeg") else pytest.skip("ffmpeg is not installed")
    with monkeypatch.context() as without_ffmpeg:
        without_ffmpeg.setenv("PATH", "")
        assert len(render(audio, out).failures) == 1
    assert render(audio, out).failures == () and not (out / "failures.csv").exists()


def test_recordings_that_went_away_stay_until_pruned(tmp_path):
    audio, out = collection(tmp_path / "audio", {"a": 2, "b": 1}), tmp_path / "out"
    render(audio, out)
    (audio / "a" / "a01.wav").unlink()
    shutil.rmtree(audio / "b")
    done = cli(audio, "--out", out, *FLAGS, "--jobs", 1)
    assert "recordings of earlier runs that are not among these: 2" in done.stdout
    assert len(read_rows(out / "clips.csv")) == 9 and faults(out) == []
    done = cli(audio, "--out", out, *FLAGS, "--jobs", 1, "--prune")
    assert done.returncode == 0 and "earlier" not in done.stdout
    assert {row["recording"] for row in read_rows(out / "clips.csv")} == {"a00"}
    assert faults(out) == [] and not (out / "b").exists()


@pytest.mark.parametrize("moved", ["a/disc1/a00.wav", "b/a00.wav"])
def test_a_moved_recording_leaves_one_set_of_pictures_under_its_new_label(tmp_path, moved):
    audio, out = collection(tmp_path / "audio", {"a": 2}), tmp_path / "out"
    render(audio, out)
    (audio / moved).parent.mkdir()
    (audio / "a" / "a00.wav").rename(audio / moved)
    assert render(audio, out).kept == 0
    rows = read_rows(out / "clips.csv")
    assert {row["source"] for row in rows} == {"a/a01.wav", moved} and faults(out) == []


@pytest.mark.parametrize("second", ["a/a00.wav", "a/disc1/a00.wav"])
def test_two_collections_never_overwrite_each_others_pictures(tmp_path, second):
    one, out = collection(tmp_path / "one", {"a": 1}), tmp_path / "out"
    render(one, out)
    before = contents(out)
    write(tmp_path / "two" / second, noise(2.0, seed=7))
    done = cli(tmp_path / "two", "--out", out, *FLAGS)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert str(one / "a" / "a00.wav") in done.stderr and "--out" in done.stderr
    assert contents(out) == before
    assert render(tmp_path / "two", out, prune=True).made == 2 and faults(out) == []


def test_hash_seed_and_number_of_processes_do_not_show(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 3, "b": 3})
    extra = ("--clips-per-recording", 2, "--at", "random")
    for name, jobs, seed in (("one", 1, "1"), ("two", 2, "2")):
        done = cli(audio, "--out", tmp_path / name, "--jobs", jobs, *FLAGS, *extra, seed=seed)
        assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def started(audio: Path, out: Path, jobs: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "render", str(audio), "--out", str(out), "--jobs", str(jobs)]
    with out.with_name("stderr").open("w") as stderr:
        return subprocess.Popen([*command, *FLAGS], cwd=ROOT, stderr=stderr, start_new_session=True)


def is_running(group: int) -> bool:
    """Whether any process is left of a group, which a started run is."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_pictures(process: subprocess.Popen[bytes], out: Path, count: int) -> None:
    """Return when `count` more pictures are there; fail when the run ends before."""
    goal = count + len(list(out.glob("*/*.png")))
    while len(list(out.glob("*/*.png"))) < goal:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)


def test_ten_kills_and_a_last_run_give_the_same_bytes(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 30, "b": 30}, seconds=20)
    assert cli(audio, "--out", tmp_path / "whole", "--jobs", 1, *FLAGS).returncode == 0
    moment = random.Random(0)
    killed = []
    try:
        for kill in range(10):
            killed.append(started(audio, tmp_path / "out", jobs=2 if kill in (3, 7) else 1))
            wait_for_pictures(killed[-1], tmp_path / "out", moment.randrange(1, 60))
            time.sleep(moment.uniform(0, 0.01))
            killed[-1].kill()
            killed[-1].wait()
        done = cli(audio, "--out", tmp_path / "out", "--jobs", 1, *FLAGS)
    finally:
        for process in killed:  # its workers end with it
            while is_running(process.pid):
                time.sleep(0.01)
    assert done.returncode == 0 and " 0 of 60" not in done.stdout
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@linux
def test_a_killed_worker_is_one_line_and_the_next_run_goes_on(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 20, "b": 20}, seconds=20)
    process = started(audio, tmp_path / "out", jobs=2)
    wait_for_pictures(process, tmp_path / "out", 20)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    stderr = (tmp_path / "stderr").read_text()
    assert "run again to go on" in stderr and "Trace" not in stderr
    assert cli(audio, "--out", tmp_path / "out", *FLAGS, "--jobs", 1).returncode == 0
    assert cli("--check", tmp_path / "out").returncode == 0


@linux
def test_ctrl_c_is_one_word_from_all_processes(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 40}, seconds=20)
    process = started(audio, tmp_path / "out", jobs=2)
    wait_for_pictures(process, tmp_path / "out", 20)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
    assert process.wait(timeout=60) == 130
    assert (tmp_path / "stderr").read_text() == "interrupted\n"


def test_hostile_inputs_are_each_named_with_a_reason(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 1}) / "a"
    (audio / "empty.wav").write_bytes(b"")
    (audio / "text.wav").write_text("not sound")
    (audio / "bytes.mp3").write_bytes(np.random.default_rng(0).bytes(50_000))
    write(audio / "none.wav", np.zeros(0, dtype=np.float32))
    write(audio / "slow.wav", tone(10, 5, sr=100), sr=100)
    write(audio / "nan.wav", np.full(SR, np.nan, dtype=np.float32), subtype="FLOAT")
    header = bytearray((audio / "a00.wav").read_bytes())
    (audio / "channels.wav").write_bytes(header[:22] + b"\0\0" + header[24:])
    (audio / "fast.wav").write_bytes(header[:24] + b"\xff\xff\xff\x7f" + header[28:])
    (audio / "gone.wav").symlink_to(audio / "nowhere.wav")
    (audio / "loop").symlink_to(audio, target_is_directory=True)
    (audio / "self.wav").symlink_to(audio / "self.wav")
    os.mkfifo(audio / "pipe.wav")
    (audio / "folder.wav").mkdir()
    write(audio / "ünï__ćodé ♫.wav", noise(1.0))
    done = cli(audio.parent, "--out", tmp_path / "out", *FLAGS, "--jobs", 2)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    failures = read_rows(tmp_path / "out" / "failures.csv")
    names = ["channels.wav", "empty.wav", "fast.wav", "gone.wav", "nan.wav", "none.wav"]
    names = ["bytes.mp3", *names, "pipe.wav", "self.wav", "slow.wav", "text.wav"]
    assert [row["source"] for row in failures] == [f"a/{name}" for name in names]
    assert all(row["reason"] for row in failures)
    assert (tmp_path / "out" / "a" / "ünï_ćodé ♫__000.png").is_file()
    assert cli("--check", tmp_path / "out").returncode == 0


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may read every file")
def test_an_unreadable_recording_is_named(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 2})
    (audio / "a" / "a01.wav").chmod(0)
    done = cli(audio, "--out", tmp_path / "out", *FLAGS, "--jobs", 1)
    assert done.returncode == 3
    (failure,) = read_rows(tmp_path / "out" / "failures.csv")
    assert failure["reason"] == "cannot be read: Permission denied"


def test_what_fails_while_it_is_read_is_named(tmp_path, monkeypatch):
    """A broken disk, as far as it can be had without one: the second read of a file fails."""
    audio = collection(tmp_path / "audio", {"a": 2})

    def broken(path: Path, *arguments: object, **options: object) -> object:
        if path.name == "a01.wav":
            raise OSError(5, "Input/output error")
        return whole(path, *arguments, **options)

    whole = Path.open
    monkeypatch.setattr(Path, "open", broken)
    assert [failure.reason for failure in render(audio, tmp_path / "out").failures] == [
        "cannot be read: Input/output error"
    ]


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_corrupt_mp3_keeps_what_can_be_heard_and_harms_no_other(tmp_path, damage):
    audio = collection(tmp_path / "audio", {"a": 1})
    path = write(audio / "a" / "x.mp3", noise(20.0), format="MP3")
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        middle = len(content) // 2
        content[middle : middle + 5000] = np.random.default_rng(0).bytes(5000)
    path.write_bytes(content)
    done = cli(audio, "--out", tmp_path / "out", *FLAGS, "--jobs", 1)
    rows = [r for r in read_rows(tmp_path / "out" / "clips.csv") if r["recording"] == "x"]
    assert len(rows) >= 8 and not any(row["silent"] for row in rows[:8])
    assert done.returncode in (0, 3) and faults(tmp_path / "out") == []


@linux
def test_memory_does_not_grow_with_a_recordings_length(tmp_path):
    """Ten hours at 8 kHz and 8 bit are 288 MB of file and 1.15 GB of float32 samples."""
    path = tmp_path / "audio" / "a" / "long.wav"
    path.parent.mkdir(parents=True)
    with soundfile.SoundFile(path, "w", 8000, 1, subtype="PCM_U8") as file:
        minute = noise(60.0, 8000)
        for _ in range(600):
            file.write(minute)
    flags = ("--sr", "8000", "--clip-seconds", "60", "--n-fft", "1024", "--hop-length", "4096")
    command = [sys.executable, "-m", "render", str(tmp_path / "audio"), "--jobs", "1", *flags]
    # A process in between: a child's peak is never below what its parent had at the fork.
    watch = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    watch += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", watch, *command, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(list(tmp_path.glob("out/a/*.png"))) == 600
    assert int(done.stdout.split()[-1]) < 1 << 18  # KiB: 256 MiB


def test_memory_does_not_grow_with_the_clips_of_a_library(tmp_path):
    """200 recordings of 60 clips: as dicts these rows take 12 MB; FMA has 500 times as many."""
    text = "a text of some length for each cell"
    with Journal(tmp_path) as journal:
        tracemalloc.start()
        try:
            for i in range(200):
                paths = [f"class/recording{i}__{clip:03d}.png" for clip in range(60)]
                rows = tuple(
                    ClipRow(path, "class", f"r{i}", 1, 0.0, 1.0, text, text, text, True, True, text)
                    for path in paths
                )
                journal.add(Entry(f"{i}.wav", "class", rows=rows, crc=(0,) * len(rows)))
            assert journal.write_tables() == {"class": 12_000}
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 1_000_000
    written = [row["path"] for row in read_rows(tmp_path / "clips.csv")]
    assert len(written) == 12_000 and written == sorted(written)
