"""--quick and --best: short YAML files under what the command line says."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from data.config import DataConfig
from tests.helpers import run_script
from train.config import PRESETS, TrainConfig


def resolved(*arguments: object) -> dict[str, object]:
    """The options that main.py would train with."""
    done = run_script("main.py", *arguments, "--print_config")
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize("name", ["best", "quick"])
def test_a_presets_options_are_taken(name: str) -> None:
    options = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())
    fields = {f.name: f.default for c in (DataConfig, TrainConfig) for f in dataclasses.fields(c)}
    assert options and options.items() <= resolved(f"--{name}").items()
    assert all(fields[option] != value for option, value in options.items())  # each does something
    settled = TrainConfig(**{k: v for k, v in options.items() if k not in vars(DataConfig())})
    assert settled.finetune != "auto"


def test_what_is_given_wins_wherever_it_stands(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("head_patience: 7\n")
    for arguments in (["--folds", 4, "--config", mine, "--quick"],
                      ["--quick", "--config", mine, "--folds", 4]):  # fmt: skip
        options = resolved(*arguments)
        assert (options["folds"], options["head_patience"]) == (4, 7)
        assert options["finetune"] == "none"


def test_both_are_refused_in_one_line() -> None:
    done = run_script("main.py", "--quick", "--best")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "give one of them" in done.stderr


def test_help_names_the_files() -> None:
    text = " ".join(run_script("main.py", "--help").stdout.split())
    assert "train/presets/quick.yaml" in text and "train/presets/best.yaml" in text


@pytest.mark.parametrize("given", [["--epochs=5"], ["--epochs", "5"], ["--gain", "0.5"]])
def test_resume_refuses_another_option_in_one_line(tmp_path: Path, given: list[str]) -> None:
    """It would be ignored, as the run goes on with its own options."""
    (tmp_path / "config.yaml").write_text("epochs: 7\n")
    done = run_script("main.py", f"--resume={tmp_path}", *given)
    assert done.returncode == 2
    name, value = given[0].split("=") if len(given) == 1 else given
    [line] = done.stderr.splitlines()
    assert f"{name} {value}: the interrupted run has " in line and "changes no option" in line


def test_resume_takes_the_runs_options(tmp_path: Path) -> None:
    """Those that are given again are no change."""
    (tmp_path / "config.yaml").write_text("epochs: 7\ndropout: 0.25\n")
    options = resolved(f"--resume={tmp_path}", "--epochs", 7)
    assert (options["epochs"], options["dropout"]) == (7, 0.25)
