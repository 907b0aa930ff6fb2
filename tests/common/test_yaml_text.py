"""A YAML file of options that stands for more than anybody meant."""

from pathlib import Path

import pytest
import yaml

from common.cli import make_parser
from common.text import load_yaml
from inference.config import PredictConfig
from tests.damage import at_most

LAUGHING = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30))]
)


@pytest.mark.parametrize(
    "text", [LAUGHING, LAUGHING.splitlines()[0] + "\ntop: *a0", "a: &a [*a]", "[" * 100_000]
)
def test_aliases_and_nesting_are_bounded(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    parser = make_parser("here", "", PredictConfig)
    with at_most(megabytes=200, seconds=10), pytest.raises(SystemExit) as end:
        parser.parse_args(["--config", str(file)])
    assert end.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_plain_aliases_are_read() -> None:
    assert load_yaml("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}
    with pytest.raises(yaml.YAMLError, match="stand for more than"):
        load_yaml(LAUGHING)
