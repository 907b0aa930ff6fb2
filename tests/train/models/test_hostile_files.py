"""Model files that were made to harm are refused in a line, with little memory and in little time.

The files are made here, from a real small model and from programs of a few nodes.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from inference.predictor import load
from tests.damage import at_most
from tests.helpers import facts_of_pictures
from train.models import model_file, onnx_file, onnx_program
from train.models.backbone import create_backbone
from train.models.classifier import Classifier
from train.models.facts import ModelFacts

pytestmark = pytest.mark.slow  # whole commands, or as long as these

SIDE = 32
FACTS = facts_of_pictures(SIDE, SIDE)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / "good.pth"
    model = Classifier(create_backbone(FACTS.backbone), 2, dropout=0.0)
    model_file.save(file, model.state_dict(), FACTS)
    assert load(file).classes == ("a", "b")
    return file


def values_of(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = torch.load(file, weights_only=True)
    return values


def _endless(values: dict[str, Any]) -> None:
    values["config"]["x"] = [values["config"]]


def _laughing(values: dict[str, Any]) -> None:
    row: list[Any] = ["ha"]
    for _ in range(60):
        row = [row, row]
    values["metrics"]["x"] = row


def _stretched(values: dict[str, Any]) -> None:
    values["backbone"] = "vit_giant_patch14_224"
    with torch.device("meta"):
        shapes = Classifier(create_backbone(values["backbone"]), 2, dropout=0.0).state_dict()
    values["weights"] = {k: torch.zeros(1).expand(t.shape) for k, t in shapes.items()}


def _set(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values.__setitem__(name, value)


def _weight(name: str, value: torch.Tensor) -> Callable[[dict[str, Any]], None]:
    return lambda values: values["weights"].__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("backbone", "vit_giant_patch14_224"), "needs"),
        (_set("backbone", "no_such_network"), "timm has no network named"),
        (_set("classes", ["x"] * 2), "differ from each other"),
        (_set("classes", [f"c{i}" for i in range(90_000)]), "head.weight"),
        (_set("temperature", 0.0), "temperature is 0.0"),
        (_set("temperature", float("nan")), "temperature is nan"),
        (_set("weights", [1]), "no tensors by name"),
        (_weight("head.weight", torch.full((2, 512), torch.nan)), "no numbers"),
        (_weight("head.weight", torch.zeros(2)), "weights do not fit"),
        (_weight("members.999999.head.weight", torch.zeros(1)), "no more members"),
        (_weight("x", torch.zeros(3, dtype=torch.complex64)), "no network has"),
        (_endless, "values"),
        (_laughing, "values"),
        (_stretched, "it claims"),
    ],
)
def test_a_changed_model_file_is_refused(
    good: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    values = values_of(good)
    change(values)
    file = tmp_path / "m.pth"
    torch.save(values, file)
    del values
    with at_most(megabytes=700, seconds=15), pytest.raises(ValueError, match=said) as error:
        load(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_compressed_model_file_is_refused(good: Path, tmp_path: Path) -> None:
    """A deflated member of a few hundred kilobytes holds 200 megabytes of zeros."""
    file = tmp_path / "m.pth"
    with (
        zipfile.ZipFile(good) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            if name.endswith("/data/0"):
                with new.open(name, "w", force_zip64=True) as member:
                    for _ in range(200):
                        member.write(bytes(1_000_000))
            else:
                new.writestr(name, old.read(name))
    assert file.stat().st_size < 3_000_000
    with at_most(megabytes=100, seconds=5), pytest.raises(ValueError, match="are compressed"):
        load(file)


def test_a_cut_or_changed_model_file_is_one_line(good: Path, tmp_path: Path) -> None:
    content, rng = good.read_bytes(), np.random.default_rng(0)
    file = tmp_path / "m.pth"
    n_refused = 0
    for i in range(60):
        data = bytearray(content)
        if i % 2:
            del data[int(rng.integers(len(data))) :]
        else:
            for place in rng.integers(0, len(data), 40):
                data[place] = int(rng.integers(256))
        file.write_bytes(bytes(data))
        try:
            load(file)
        except ValueError as error:
            n_refused += 1
            assert str(file) in str(error) and "\n" not in str(error)
    assert n_refused >= 30


def program(
    nodes: list[onnx.NodeProto],
    output: list[Any],
    constants: dict[str, np.ndarray] | None = None,
) -> onnx.ModelProto:
    """A program from "images" to "logits" by the nodes, which may use the constants."""
    shape = ["batch", 3, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, output)],
        [onnx.numpy_helper.from_array(a, name) for name, a in (constants or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made


def averaging(last: str = "logits") -> list[onnx.NodeProto]:
    """Two logits that do not depend on much: the mean of the pictures, and its negative."""
    return [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Flatten", ["m"], ["flat"]),
        helper.make_node("Neg", ["flat"], ["n"]),
        helper.make_node("Concat", ["flat", "n"], [last], axis=1),
    ]


def answer(file: Path, made: onnx.ModelProto, facts: ModelFacts = FACTS) -> np.ndarray:
    onnx_file.save(file, made, facts)
    pictures = np.full((3, SIDE, SIDE, 3), 9, dtype=np.uint8)
    return load(file).probabilities(pictures)


def test_a_plain_program_is_answered(tmp_path: Path) -> None:
    found = answer(tmp_path / "m.onnx", program(averaging(), ["batch", 2]))
    assert found.shape == (3, 2)
    assert found[:, 0] == pytest.approx(1 / (1 + np.exp(-18.0)))


def _loop() -> onnx.ModelProto:
    """Counts to 2**62."""
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["c2"]),
            helper.make_node("Identity", ["v"], ["v2"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            condition,
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("c2", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v2", TensorProto.FLOAT, None),
        ],
    )
    loop = helper.make_node("Loop", ["n", "t", "y"], ["logits"], body=body)
    constants = {"n": np.array(2**62), "t": np.array(True)}
    return program([*averaging("y"), loop], ["batch", 2], constants)


def _huge() -> onnx.ModelProto:
    """Adds ten billion numbers."""
    nodes = [
        *averaging("y"),
        helper.make_node("ReduceSum", ["y"], ["s"], keepdims=0),
        helper.make_node("Expand", ["s", "shape"], ["many"]),
        helper.make_node("ReduceMax", ["many"], ["most"], keepdims=0),
        helper.make_node("Add", ["y", "most"], ["logits"]),
    ]
    return program(nodes, ["batch", 2], {"shape": np.array([10**10])})


def _elsewhere() -> onnx.ModelProto:
    """Takes its numbers from a file of the machine that reads it."""
    made = program([*averaging("y"), helper.make_node("Add", ["y", "e"], ["logits"])], ["b", 2])
    tensor = onnx.TensorProto(name="e", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    made.graph.initializer.append(tensor)
    return made


def _functions() -> onnx.ModelProto:
    made = program(averaging(), ["batch", 2])
    node = helper.make_node("Neg", ["a"], ["b"])
    made.functions.append(
        helper.make_function("own", "f", ["a"], ["b"], [node], [helper.make_opsetid("", 17)])
    )
    return made


def _not_a_number() -> onnx.ModelProto:
    return program([*averaging("y"), helper.make_node("Log", ["y"], ["logits"])], ["batch", 2])


def _other_shape() -> onnx.ModelProto:
    nodes = [*averaging("y"), helper.make_node("Concat", ["y", "y"], ["logits"], axis=1)]
    return program(nodes, ["batch", 4])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_loop, "repeats a part of itself"),
        (_huge, "program fails"),
        (_elsewhere, "in another file"),
        (_functions, "functions of its own"),
        (_not_a_number, "not a number"),
        (_other_shape, "2 classes"),
        (lambda: program([], []), "no model file of Spectrofold"),
    ],
)
def test_a_program_made_to_harm_is_refused(
    tmp_path: Path, make: Callable[[], onnx.ModelProto], said: str
) -> None:
    made = make()
    with at_most(megabytes=300, seconds=10), pytest.raises(ValueError, match=said) as error:
        answer(tmp_path / "m.onnx", made)
    assert "\n" not in str(error.value)


def test_a_program_has_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four hundred products of large matrices, one after the other."""
    monkeypatch.setattr(onnx_program, "MAX_SECONDS", 0.5)
    nodes = [helper.make_node("MatMul", ["w", "r"], ["w0"])]
    nodes += [helper.make_node("MatMul", [f"w{i}", "r"], [f"w{i + 1}"]) for i in range(400)]
    nodes = [
        *averaging("y"),
        helper.make_node("ReduceMean", ["y"], ["s"], keepdims=0),
        helper.make_node("Mul", ["big", "s"], ["w"]),
        helper.make_node("Mul", ["big", "s"], ["r"]),
        *nodes,
        helper.make_node("ReduceMean", ["w401"], ["last"], keepdims=0),
        helper.make_node("Add", ["y", "last"], ["logits"]),
    ]
    nodes[-2].input[0] = "w400"
    big = np.full((2000, 2000), 1e-4, dtype=np.float32)
    with at_most(megabytes=500, seconds=10), pytest.raises(ValueError, match="program fails"):
        answer(tmp_path / "m.onnx", program(nodes, ["batch", 2], {"big": big}))


def test_a_cut_or_changed_program_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    answer(file, program(averaging(), ["batch", 2]))
    content, rng = file.read_bytes(), np.random.default_rng(0)
    pictures = np.zeros((1, SIDE, SIDE, 3), dtype=np.uint8)
    n_refused = 0
    for i in range(300):
        data = bytearray(content)
        if i % 2:
            del data[int(rng.integers(len(data))) :]
        else:
            for place in rng.integers(0, len(data), 3):
                data[place] = int(rng.integers(256))
        file.write_bytes(bytes(data))
        try:
            load(file).probabilities(pictures)
        except ValueError as error:
            n_refused += 1
            assert "\n" not in str(error)
    assert n_refused > 150
