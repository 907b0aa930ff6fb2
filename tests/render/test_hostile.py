"""What strangers and accidents leave in folders: nothing outside is touched, nothing hangs."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.files import check_regular
from render.output.check import faults
from render.output.clip_table import read_rows
from render.output.journal import NAME
from tests.damage import at_most
from tests.helpers import ROOT
from tests.render_helpers import FLAGS, cli, collection, contents, render

pytestmark = pytest.mark.slow  # whole commands, or as long as these


@pytest.fixture
def rendered(tmp_path) -> tuple[Path, Path]:
    """(recordings, folder of their pictures)."""
    audio = collection(tmp_path / "audio", {"a": 2})
    render(audio, tmp_path / "out")
    return audio, tmp_path / "out"


def edit_journal(out: Path, **changes: object) -> None:
    """Change cells of the first row of the first entry, or the entry's own if it has none such."""
    first, *rest = (out / NAME).read_text(encoding="utf-8").splitlines()
    entry = json.loads(first)
    for name, value in changes.items():
        (entry if name in entry and name != "label" else entry["rows"][0])[name] = value
    (out / NAME).write_text("\n".join([json.dumps(entry), *rest, ""]), encoding="utf-8")


@pytest.mark.parametrize("path", ["../victim.png", "a/../../victim.png", "{}/victim.png", "..", ""])
@pytest.mark.parametrize("prune", [True, False])
def test_a_path_of_the_journal_never_leads_out_of_the_folder(tmp_path, rendered, path, prune):
    audio, out = rendered
    victim = tmp_path / "victim.png"
    victim.write_bytes(b"mine")
    edit_journal(out, path=path.format(tmp_path), key="another")
    (audio / "a" / "a00.wav").unlink()  # with prune its pictures go
    before = contents(out)
    with pytest.raises(ValueError, match=f"{NAME}, line 1: path="):
        render(audio, out, prune=prune)
    assert victim.read_bytes() == b"mine"
    assert {name: contents(out)[name] for name in before} == before


def test_a_class_folder_that_is_a_link_leads_nowhere(tmp_path, rendered):
    audio, out = rendered
    victim = tmp_path / "elsewhere" / "a00__000.png"
    (out / "a").rename(victim.parent)
    (out / "a").symlink_to(victim.parent, target_is_directory=True)
    content = victim.read_bytes()
    (audio / "a" / "a00.wav").unlink()
    with pytest.raises(ValueError, match="leads out of"):
        render(audio, out, prune=True)
    assert victim.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    ["[1, 2]", "7", "{}", '{"source": "x"}', "[" * 100_000, "null", '{"rows": 3}'],
)
def test_a_journal_of_other_json_is_named(rendered, line):
    audio, out = rendered
    with (out / NAME).open("a") as file:
        file.write(line + "\n")
    done = cli(audio, "--out", out, *FLAGS, "--jobs", 1)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert f"{NAME}, line 3: " in done.stderr and "Remove this file" in done.stderr


@pytest.mark.parametrize("value", ["x", None, [], "9" * 5000])
@pytest.mark.parametrize("name", ["clip", "start_s", "stamp", "crc", "rows"])
def test_a_journal_of_other_types_is_named(rendered, name, value):
    audio, out = rendered
    edit_journal(out, **{name: value})
    try:
        assert render(audio, out).clips == {"a": 6}  # an empty list can be meant
    except ValueError as error:
        assert f"{NAME}, line 1: " in str(error)


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version": 1, "clips": 3}',
        b'{"version": 1, "sr": "many"}',
        b'{"version": 1, "sr": 1e999}',
        b'{"version": 1, "x": 2}',
        b'{"version": 1, "sr": 1' + b"0" * 400 + b"}",
        b'{"version": 1, "fmin": ' + b"9" * 400 + b"}",
        b'{"version": 1, "clip_seconds": 1e300}',
        b'{"version": 1, "n_fft": 1000000000}',
        b'{"version": 1, "n_mels": 1000000000}',
        b'{"version": 1, "size": "99999x99999"}',
        b'{"version": 1, "hop_length": 1, "clip_seconds": 600}',
        b'{"version": 1, "sr": true}',
        b'{"version": 1, "channels": "stft:99999999"}',
        b'{"version": 1, "channels": null}',
    ],
)
def test_settings_of_any_kind_are_one_line_that_names_the_file(rendered, text):
    audio, out = rendered
    (out / "render.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"render\.json"):
        render(audio, out)
    with pytest.raises(ValueError, match=r"render\.json"):
        faults(out)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a,b\n1,2\n",
        b"\xff\xfe\x00",
        b"path,label\n" + b"x" * (1 << 25) + b",a\n",
        b"path,label\n\0,\n",
        b'path,label\n"',
        b"path,label\n../../etc/passwd,a\n",
        b"path,label\na\n",
        b"path,label,label\n/etc/passwd,a,b,c,d\n",
    ],
)
def test_a_hostile_clips_csv_is_a_fault_or_one_line(rendered, text):
    _, out = rendered
    (out / "clips.csv").write_bytes(text)
    try:
        assert faults(out)
    except ValueError as error:
        assert "clips.csv" in str(error)


def test_a_long_cell_is_read(rendered):
    _, out = rendered
    rows = (out / "clips.csv").read_text().replace("a/a00.wav", "x" * 200_000)
    (out / "clips.csv").write_text(rows)
    assert faults(out) == []


def test_pipes_in_place_of_tables_do_not_hang(rendered):
    audio, out = rendered
    for name in ("clips.csv", "failures.csv", NAME, "render.json"):
        (out / name).unlink(missing_ok=True)
        os.mkfifo(out / name)
    for arguments in ([audio, "--out", out, *FLAGS], ["--check", out], ["--preview", out / NAME]):
        done = cli(*arguments)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    done = cli(audio, "--labels", out / "clips.csv", "--out", out)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr


def test_a_name_that_is_not_utf8_is_rendered_and_named(tmp_path):
    audio = collection(tmp_path / "audio", {"a": 1})
    (audio / "a" / "a00.wav").rename(os.fsdecode(os.fsencode(audio) + b"/a/caf\xe9.wav"))
    Path(os.fsdecode(os.fsencode(audio) + b"/a/\xff.wav")).write_bytes(b"no sound")
    os.rename(audio / "a", os.fsdecode(os.fsencode(audio) + b"/\xe9t\xe9"))  # noqa: PTH104
    done = cli(audio, "--out", tmp_path / "out", *FLAGS, "--jobs", 2)
    assert done.returncode == 3 and "Trace" not in done.stderr, done.stderr
    rows = read_rows(tmp_path / "out" / "clips.csv")
    assert {row["source"] for row in rows} == {r"\xe9t\xe9/caf\xe9.wav"}
    assert {(row["label"], row["recording"]) for row in rows} == {("_t_", "caf_xe9")}
    (failure,) = read_rows(tmp_path / "out" / "failures.csv")
    assert failure["source"] == r"\xe9t\xe9/\xff.wav"
    again = cli(audio, "--out", tmp_path / "out", *FLAGS, "--jobs", 1)
    assert "1 of 2 recordings were complete" in again.stdout, again.stdout + again.stderr
    assert faults(tmp_path / "out") == []
    assert cli(audio, "--features", tmp_path / "f.csv", "--jobs", 1).returncode == 3


@pytest.mark.parametrize("start", [b"RIFF", b"ID3\4"])
def test_a_terabyte_that_is_not_there_is_refused_at_once(tmp_path, start):
    """A file of holes takes no room on the disk, and hours to read."""
    audio = collection(tmp_path / "audio", {"a": 1})
    with (audio / "a" / "holes.wav").open("wb") as file:
        file.write(start)
        file.truncate(2**40)
    with at_most(100, 10):
        done = render(audio, tmp_path / "out")
    assert [(one.source, one.reason) for one in done.failures] == [
        ("a/holes.wav", "larger than 64 GiB: no recording")
    ]
    with at_most(100, 5), pytest.raises(ValueError, match="larger than 64 GiB"):
        check_regular(audio / "a" / "holes.wav")


def test_only_our_own_temporary_files_and_folders_are_swept(rendered):
    audio, out = rendered
    (out / "a" / ".0123456789abcdef0123456789abcdef.part").write_bytes(b"of a killed run")
    mine = [out / "a" / ".notes.tmp", out / ".x.part", out / "a" / ".song.part"]
    for path in mine:
        path.write_bytes(b"mine")
    (out / "empty").mkdir()
    render(audio, out)
    assert all(path.is_file() for path in mine) and (out / "empty").is_dir()
    assert not (out / "a" / ".0123456789abcdef0123456789abcdef.part").exists()


@pytest.mark.parametrize(("jobs", "limit"), [(2, 700), (2, 4000)])
def test_a_disk_that_is_full_is_one_line_and_the_next_run_goes_on(tmp_path, jobs, limit):
    """Stood in for by a limit on the size of files: first pictures are too large, then tables."""
    audio = collection(tmp_path / "audio", {"a": 12})
    command = [sys.executable, "-m", "render", str(audio), "--out", str(tmp_path / "out")]
    command += [*FLAGS, "--jobs", str(jobs)]

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    (tmp_path / "out").mkdir()
    done = subprocess.run(command, cwd=ROOT, preexec_fn=full, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "cannot write" in done.stderr and str(tmp_path / "out") in done.stderr
    assert not list((tmp_path / "out").rglob("*.part"))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "a  36 clips" in done.stdout and faults(tmp_path / "out") == []


def test_two_renders_into_one_folder_are_not_mixed(tmp_path):
    """The second is refused while the first runs; a killed one leaves no lock behind."""
    one = collection(tmp_path / "one", {"a": 30}, seconds=20)
    two = collection(tmp_path / "two", {"b": 1})
    out = tmp_path / "out"
    command = [sys.executable, "-m", "render", str(one), "--out", str(out), "--jobs", "1", *FLAGS]
    first = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        while not list(out.glob("a/*.png")):
            assert first.poll() is None
        first.send_signal(signal.SIGSTOP)  # on a quick machine it would be done before the second
        done = cli(two, "--out", out, *FLAGS)
        assert first.poll() is None, "the first run ended too early"
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert f"{out} is in use by another render" in done.stderr
        assert not (out / "b").exists()
    finally:
        first.kill()
        first.communicate()
    assert cli(one, "--out", out, *FLAGS).returncode == 0
    assert cli(two, "--out", out, *FLAGS, "--prune").returncode == 0
    assert faults(out) == [] and not (out / "a").exists()
