"""command: flags and YAML from dataclasses, and exit codes with one line on stderr."""

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from common.cli import (
    PositiveInt,
    UnitIntervalWithout1,
    UpToHalf,
    config_from,
    make_parser,
    option,
    run,
)
from tests.helpers import ROOT, run_script


@dataclass(frozen=True)
class Options:
    """Tea and its brewing"""

    brewing_time: float = option(3.0, "minutes in the pot")
    kind: str | None = option(None, "what is in the pot")
    with_milk: bool = option(False, "white")
    hot: bool = option(True, "not iced")
    cups: list[int] = option([1, 2], "sizes of the cups")

    def __post_init__(self) -> None:
        if self.brewing_time < 0:
            raise ValueError(f"--brewing-time {self.brewing_time}: must be 0 or more")


@dataclass(frozen=True)
class Biscuits:
    """Biscuits"""

    n_biscuits: int = option(2, "how many")


def parse(*args: str) -> Options:
    return config_from(make_parser("tea", "Makes tea.", Options).parse_args(list(args)), Options)


def one_line(text: str) -> str:
    """The only line of the text."""
    [line] = text.splitlines()
    return line


def refusal(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The one line that a wrong usage puts on stderr."""
    with pytest.raises(SystemExit) as caught:
        parse(*args)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return one_line(err)


def test_without_flags_the_defaults() -> None:
    assert parse() == Options(3.0, None, False, True, [1, 2])


def test_default_lists_are_not_shared() -> None:
    Options().cups.append(3)
    assert Options().cups == [1, 2]


@pytest.mark.parametrize(
    ("args", "changed"),
    [
        (["--brewing-time", "4.5"], {"brewing_time": 4.5}),
        (["--brewing-time=4"], {"brewing_time": 4.0}),
        (["--kind", "Assam"], {"kind": "Assam"}),
        (["--with-milk"], {"with_milk": True}),
        (["--with-milk", "--no-with-milk"], {"with_milk": False}),
        (["--no-hot"], {"hot": False}),
        (["--cups", "[3, 4]"], {"cups": [3, 4]}),
    ],
)
def test_a_field_is_a_flag(args: list[str], changed: dict[str, object]) -> None:
    """Underscores are dashes, and a bool is a pair of flags."""
    assert parse(*args) == dataclasses.replace(Options(), **changed)


def test_yaml_gives_options_and_flags_after_it_win(tmp_path: Path) -> None:
    file = tmp_path / "tea.yaml"
    file.write_text("brewing_time: 5\nwith_milk: true\n")
    assert parse("--config", str(file)) == Options(brewing_time=5.0, with_milk=True)
    assert parse("--config", str(file), "--brewing-time", "1").brewing_time == 1.0


def test_a_saved_config_can_be_fed_back(tmp_path: Path) -> None:
    """Every run writes its resolved options so that it can be repeated."""
    import yaml

    first = parse("--kind", "no", "--no-hot", "--cups", "[7]", "--brewing-time", "1e-4")
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(dataclasses.asdict(first)))
    assert parse("--config", str(file)) == first


def test_several_dataclasses_share_a_parser() -> None:
    args = make_parser("tea", "Makes tea.", Options, Biscuits).parse_args(["--n-biscuits", "5"])
    assert config_from(args, Options) == Options()
    assert config_from(args, Biscuits) == Biscuits(5)


def test_help_shows_flags_defaults_and_the_first_docstring_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    help = capsys.readouterr().out
    for part in ("Makes tea.", "Tea and its brewing", "--brewing-time", "in the pot", "3.0"):
        assert part in help


@pytest.mark.parametrize(
    ("args", "culprit"),
    [
        (["--brewing-times", "3"], "--brewing-times"),
        (["--brew", "3"], "--brew"),  # an abbreviation could change its meaning later
        (["--brewing-time", "long"], "--brewing-time"),
        (["--brewing-time"], "--brewing-time"),
        (["--brewing-time", "-1"], "--brewing-time -1.0: must be 0 or more"),
        (["--with-milk", "--maybe"], "--maybe"),
        (["stray"], "stray"),
        (["--config", "gone.yaml"], "gone.yaml"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_culprit(
    capsys: pytest.CaptureFixture[str], args: list[str], culprit: str
) -> None:
    assert culprit in refusal(capsys, *args)


@pytest.mark.parametrize("text", ["sugar: 3\n", "brewing_time: long\n", "a: [1\n"])
def test_a_wrong_config_file_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    (tmp_path / "tea.yaml").write_text(text)
    assert refusal(capsys, "--config", str(tmp_path / "tea.yaml"))


@dataclass(frozen=True)
class Brew:
    """Brewing"""

    leaves: PositiveInt = option(3, "spoons of leaves")
    sugar: UnitIntervalWithout1 = option(0.0, "part of it that is sugar", "Data")
    steep: UpToHalf = option(0.25, "hours", "Hardware")
    pot: Literal["clay", "glass"] = option("clay", "what it is brewed in")
    lid: Literal["on", "off"] | None = option(None, "whether it is covered")
    refills: PositiveInt | None = option(None, "how often; default until it is thin", "Data")


def brew(*args: str) -> Brew:
    return config_from(make_parser("tea", "Makes tea.", Brew).parse_args(list(args)), Brew)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--leaves", "0"], "--leaves 0: must be a whole number > 0"),
        (["--leaves", "many"], "--leaves many: must be a whole number > 0"),
        (["--leaves", "1.5"], "--leaves 1.5: must be a whole number > 0"),
        (["--sugar", "1"], "--sugar 1.0: must be a number >= 0 and < 1"),
        (["--sugar", "nan"], "--sugar nan: must be a number >= 0 and < 1"),
        (["--steep", "0.51"], "--steep 0.51: must be a number > 0 and <= 0.5"),
        (["--pot", "iron"], "--pot iron: must be one of clay, glass"),
        (["--lid", "half"], "--lid half: must be one of on, off"),
        (["--refills", "0"], "--refills 0: must be a whole number > 0"),
        (["--refills", "some"], "--refills some: must be a whole number > 0"),
    ],
)
def test_a_value_out_of_range_is_one_line_with_option_value_and_range(
    capsys: pytest.CaptureFixture[str], args: list[str], line: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        brew(*args)
    assert caught.value.code == 2
    assert line in one_line(capsys.readouterr().err)


def test_ranges_take_their_ends() -> None:
    assert brew("--steep", "0.5", "--sugar", "0", "--refills", "1") == Brew(steep=0.5, refills=1)
    assert brew("--lid", "off").lid == "off"


def test_help_is_grouped_and_says_ranges_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        brew("--help")
    text = capsys.readouterr().out
    assert text.startswith("usage: tea [options]\n")
    titles = [line for line in text.splitlines() if line in ("Brewing:", "Data:", "Hardware:")]
    assert titles == ["Brewing:", "Data:", "Hardware:"]
    flat = " ".join(text.split())
    assert "--leaves N spoons of leaves (a whole number > 0; default 3)" in flat
    assert "--pot {clay,glass} what it is brewed in (default clay)" in flat
    assert "--refills N how often; default until it is thin (a whole number > 0)" in flat
    assert "Literal" not in text and "null" not in text and "jsonargparse" not in text


def test_a_preset_is_a_config_file_under_what_is_given(tmp_path: Path) -> None:
    """Wherever the preset stands; of a folder whose name a pattern would not match, too."""
    folder = tmp_path / "[presets]"
    folder.mkdir()
    (folder / "strong.yaml").write_text("# For the morning.\nleaves: 9\nsugar: 0.5\n")
    (folder / "weak.yaml").write_text("# For the evening.\nleaves: 1\n")
    mine = tmp_path / "mine.yaml"
    mine.write_text("sugar: 0.25\n")
    parser = make_parser("tea", "Makes tea.", Brew)
    parser.add_presets(folder)
    for args in (["--leaves", "3", "--config", str(mine), "--strong"],
                 ["--strong", "--config", str(mine), "--leaves=3"]):  # fmt: skip
        assert config_from(parser.parse_args(args), Brew) == Brew(sugar=0.25)
    assert config_from(parser.parse_args(["--strong"]), Brew) == Brew(leaves=9, sugar=0.5)
    assert config_from(parser.parse_args([]), Brew) == Brew()
    assert "For the evening." in parser.format_help()


def test_two_presets_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("strong", "weak"):
        (tmp_path / f"{name}.yaml").write_text("# One.\nleaves: 1\n")
    parser = make_parser("tea", "Makes tea.", Brew)
    parser.add_presets(tmp_path)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--weak", "--strong"])
    assert caught.value.code == 2
    assert "--strong and --weak: give one of them" in one_line(capsys.readouterr().err)


LESS = "close other programs, raise its limit (ulimit -v), or ask for less at once"


def raiser(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize("code", [0, 1, 3])
def test_run_exits_with_mains_code(code: int) -> None:
    with pytest.raises(SystemExit) as caught:
        run(lambda: code)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("no images\n  in x"), 1, "error: no images in x"),
        (OSError(28, "No space left", "x"), 1, "error: [Errno 28] No space left: 'x'"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "error: out of memory; " + LESS),
        (
            ImportError("libtorch_cpu.so: failed to map segment from shared object"),  # ulimit -v
            1,
            "error: out of memory (libtorch_cpu.so: failed to map segment from shared object); "
            + LESS,
        ),
    ],
)
def test_run_turns_bad_input_into_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(raiser(error))
    assert caught.value.code == code
    assert one_line(capsys.readouterr().err) == line


def test_run_keeps_the_traceback_of_a_bug() -> None:
    with pytest.raises(KeyError):
        run(raiser(KeyError("bug")))


def test_a_closed_pipe_is_no_error() -> None:
    """`python predict.py ... | head -1` has read what it wanted."""
    script = (
        "from common.cli import run\n"
        "def main():\n"
        "    for i in range(100_000): print(i)\n"
        "    return 0\n"
        "run(main)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("stdout", ["", " | head -n 1", " >&-"])
def test_work_goes_on_when_nobody_reads_what_it_says(tmp_path: Path, stdout: str) -> None:
    """A training of hours ended at its next line, with exit code 0; without stdout, as a bug.

    Nor does a file that is opened next become the standard output that others print to.
    """
    (tmp_path / "work.py").write_text(
        "import os\n"
        "from pathlib import Path\n"
        "from common.cli import run\n"
        "def main():\n"
        "    with Path('opened').open('w'):\n"
        "        os.write(1, b'1\\n')\n"
        "        for i in range(20_000): print(i, flush=i % 100 == 0)\n"
        "    Path('done').write_text('3')\n"
        "    return 3\n"
        "run(main)"
    )
    done = subprocess.run(
        ["bash", "-c", f"{{ {sys.executable} work.py; echo $? > code; }}{stdout}"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.stderr == b""
    assert (tmp_path / "code").read_text() == "3\n" and (tmp_path / "done").exists()
    assert (tmp_path / "opened").read_text() == ""


def test_a_full_disk_behind_standard_output_is_named() -> None:
    script = "from common.cli import run; run(lambda: print(1) or 0)"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "error: cannot write to <stdout>: No space left on device\n"


def test_what_torch_makes_as_it_is_imported_is_not_left_behind(tmp_path: Path) -> None:
    script = "from common.cli import run; run(lambda: 3 if __import__('torch._dynamo') else 1)"
    env = os.environ | {"TMPDIR": str(tmp_path)}
    env.pop("TORCHINDUCTOR_CACHE_DIR", None)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, check=False)
    assert done.returncode == 3
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Kitchen:
    """Kitchen"""

    cups: PositiveInt = option(2, "cups of tea", "Most used")
    stove: str = option("gas", "what heats the water", "Hardware")


def test_help_shows_what_matters_first_and_names_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = []
    for asked in ("--help", "--help-all", "--help"):
        with pytest.raises(SystemExit) as caught:
            make_parser("tea", "Makes tea.", Kitchen).parse_args([asked])
        assert caught.value.code == 0
        said.append(capsys.readouterr().out)
    short, whole, again = said
    assert "cups of tea" in short and "cups of tea" in whole and short == again
    assert "what heats the water" not in short and "what heats the water" in whole
    assert "More options, explained by --help-all:" in short and "Hardware: --stove" in short


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        make_parser("tea", "Makes tea.", Kitchen).parse_args(["--version"])
    assert caught.value.code == 0
    said = capsys.readouterr().out.split()
    assert said[0] == "spectrofold"
    assert f'version = "{said[1]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", ["main.py", "predict.py"])
def test_the_help_of_the_scripts_speaks_no_python(script: str) -> None:
    done = run_script(script, "--help-all")
    assert done.returncode == 0
    assert not re.search(r"Literal\[|<class '|Union\[|None\b", done.stdout)
