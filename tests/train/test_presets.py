"""--quick and --best: short YAML files under what the command line says."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from data.config import DataConfig
from tests.helpers import run_script
from train.config import TrainConfig
from train.presets import FOLDER, PRESETS


def resolved(*arguments: object) -> dict[str, object]:
    """The options that main.py would train with."""
    done = run_script("main.py", *arguments, "--print_config")
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_presets_options_are_taken(name: str) -> None:
    options = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
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
