"""Graphs that are kept: the same program as without, and never one of another network."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.helpers import ROOT
from train.export import onnx as module
from train.export.onnx import program_of

EXAMPLE = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)


class Network(nn.Module):
    """Convolution, normalisation with its statistics, and a linear layer."""

    def __init__(self, seed: int, power: float = 1.0, name: str = "offset") -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.power, self.name = power, name
        self.register_buffer(name, torch.rand(1, 3, 1, 1), persistent=False)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)
        nn.init.uniform_(self.body[1].running_mean)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.body(images.float() / 255 - self.get_buffer(self.name))
        return self.head((maps.mean(dim=(2, 3)) + 1) ** self.power)


@pytest.fixture
def traced(monkeypatch) -> list[nn.Module]:
    """The networks that torch has traced, in order."""
    found: list[nn.Module] = []
    trace = module._traced

    def noted(network, *others):
        found.append(network)
        return trace(network, *others)

    monkeypatch.setattr(module, "_traced", noted)
    return found


def test_other_weights_are_filled_into_a_kept_graph(tmp_path, traced):
    program_of(Network(0), EXAMPLE, "images", kept=tmp_path)
    kept = program_of(Network(1), EXAMPLE, "images", kept=tmp_path)
    assert len(traced) == 1
    whole = program_of(Network(1), EXAMPLE, "images")
    assert str(ROOT).encode() not in whole.SerializeToString()
    assert kept.SerializeToString() == whole.SerializeToString()


def test_a_graph_that_is_damaged_or_answers_otherwise_is_made_anew(tmp_path, traced):
    """A setting that no shape shows is another architecture; and were it not, it would be noted."""
    program_of(Network(0, power=2.0), EXAMPLE, "images", kept=tmp_path)
    (squared,) = tmp_path.iterdir()
    truth = program_of(Network(0), EXAMPLE, "images", kept=tmp_path)
    (file,) = set(tmp_path.iterdir()) - {squared}
    for wrong in (squared.read_bytes(), file.read_bytes()[:-9]):
        file.write_bytes(wrong)
        again = program_of(Network(0), EXAMPLE, "images", kept=tmp_path)
        assert again.SerializeToString() == truth.SerializeToString()
    assert len(traced) == 4


def test_a_graph_that_cannot_be_read_again_is_made_anew(tmp_path, traced):
    """torch calls a buffer by its name, and the first mean in a graph "mean"."""
    network = Network(0, name="mean")
    one, two = (program_of(network, EXAMPLE, "images", kept=tmp_path) for _ in range(2))
    assert one.SerializeToString() == two.SerializeToString() and len(traced) == 2


def test_a_folder_that_cannot_be_written_to_is_gone_without(tmp_path, traced):
    nowhere = Path(tmp_path / "file")
    nowhere.write_bytes(b"")
    assert program_of(Network(0), EXAMPLE, "images", kept=nowhere / "graphs").graph.node
    assert len(traced) == 1
