"""ModelFacts: what is written is read again, and what a stranger wrote is checked before use."""

import json
import subprocess
import sys
from typing import Any

import pytest

from data.images.read import ImageSpec
from render.settings import RenderSettings
from tests.helpers import ROOT
from train.models.facts import DomainReference, ModelFacts, Novelty, NoveltyCheck

CHECK = NoveltyCheck((1.0, 2.0), (1.0, 0.5), ((1.0, 0.25), (0.25, 1.0)), limit=3.5)
PICTURES = ModelFacts(
    backbone="resnet18",
    pooling="stages",
    classes=("blues", "rock"),
    inputs=ImageSpec(672, 224, (387, 385), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    temperature=1.5,
    render=RenderSettings(),
    config={"seed": 3},
    metrics={"test": {"accuracy": 0.5}},
    novelty=Novelty(CHECK, CHECK),
    domain=DomainReference((0.0, 1.0), (1.0, 2.0), 1.2, 0.8, 9, "magma"),
    revision="abc1234",
)
TABLE = ModelFacts("mlp", "table", ("a", "b"), ("centroid", "zcr"), temperature=1.0)


@pytest.mark.parametrize("facts", [PICTURES, TABLE])
def test_json_brings_them_back(facts: ModelFacts) -> None:
    """model.onnx carries them as JSON, which knows lists only."""
    assert ModelFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts


def test_a_model_is_of_pictures_or_of_tables() -> None:
    assert (PICTURES.is_table, TABLE.is_table) == (False, True)
    assert PICTURES.image.width == 672 and TABLE.columns == ("centroid", "zcr")
    with pytest.raises(ValueError, match="tables, not pictures"):
        _ = TABLE.image
    with pytest.raises(ValueError, match="pictures, not rows"):
        _ = PICTURES.columns


WRONG: list[tuple[str, Any, str]] = [
    ("format", 3, "format 3; this version reads 4: train it again"),
    ("format", 99, "format 99.*update Spectrofold"),
    ("format", [], "format .*update Spectrofold"),
    ("backbone", "", "backbone is ''"),
    ("backbone", "x" * 5000, "backbone is 'xxx"),
    ("pooling", "median", "pooling is 'median'; expected one of last"),
    ("classes", [], "classes is a list of 0"),
    ("classes", ["a", "a"], "classes .* differ"),
    ("classes", "blues", "classes is 'blues'"),
    ("classes", ["a", 3], "classes .* characters"),
    ("temperature", float("nan"), "temperature is nan"),
    ("temperature", 0, "temperature is 0; expected numbers from 1e-06"),
    ("temperature", True, "temperature is True"),
    ("temperature", 10**400, "temperature is a whole number beyond"),
    ("image", None, "image is None; expected names"),
    ("image.width", 0, "image.width is 0; expected a whole number from 1 to 16384"),
    ("image.width", 1e3, "image.width is 1000.0"),
    ("image.height", 10**9, "image.height is 1000000000"),
    ("image.canvas", [16_000, 16_000], "image has 16000x16000 pixels"),
    ("image.canvas", [3], "image.canvas is a list of 1; expected 2"),
    ("image.std", [0.5, 0, 0.5], "image.std"),
    ("image.mean", ["a", "b", "c"], "image.mean"),
    ("render.sr", -1, "--sr -1: must be a whole number > 0"),
    ("render.sr", "fast", "render settings: "),
    ("render.channels", 3, "render settings: "),
    ("render.version", 99, "version 99"),
    ("novelty.colours.scale", [0.0, 1.0], "novelty.colours.scale"),
    ("novelty.structure.inverse", [[1.0]], "novelty.structure.inverse"),
    ("novelty.structure.limit", None, "novelty.structure.limit is None"),
    ("domain.mean", [0.0], "domain.scale is a list of 2; expected 1"),
    ("domain.n_groups", 0, "domain.n_groups is 0"),
    ("metrics", [1], "metrics is a list of 1"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_wrong_value_is_named(name: str, value: Any, message: str) -> None:
    values = json.loads(json.dumps(PICTURES.to_dict()))
    section, *names = [values, *name.split(".")]
    for key in names[:-1]:
        section = section[key]
    section[names[-1]] = value
    with pytest.raises(ValueError, match=message) as error:
        ModelFacts.from_dict(values)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("name", sorted(set(PICTURES.to_dict()) - {"revision", "format"}))
def test_a_missing_value_is_named_or_optional(name: str) -> None:
    values = PICTURES.to_dict()
    del values[name]
    if name in ("render", "novelty", "domain"):
        assert getattr(ModelFacts.from_dict(values), name) is None
    else:
        with pytest.raises(ValueError, match=f"{name} is missing"):
            ModelFacts.from_dict(values)


def test_they_need_no_torch() -> None:
    code = "import sys, train.models.facts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
