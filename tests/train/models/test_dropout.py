"""Dropout from random bytes: the same as torch's in every statistic that training sees."""

import pytest
import torch

from train.models.classifier import Dropout


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_part_that_is_dropped_and_the_mean_that_is_kept(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(501, 999, dtype=dtype)  # no multiple of eight bytes
    y = Dropout(p).train()(x).float()
    dropped = (y == 0).float()
    assert y.dtype == torch.float32 and abs(dropped.mean().item() - p) < 0.004
    assert abs(y.mean().item() - 1) < 0.02
    assert len(y.unique()) == 2  # zero, and one value for all that is kept
    assert dropped.mean(dim=0).std() < 0.03 and dropped.mean(dim=1).std() < 0.03  # no stripes


def test_the_gradient_passes_where_the_value_did() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 33, requires_grad=True)
    y = Dropout(0.5).train()(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.allclose(y, x * x.grad) and set(x.grad.unique().tolist()) == {0.0, 2.0}


def test_the_seed_decides_and_evaluation_drops_nothing() -> None:
    x, layer = torch.randn(4, 10), Dropout(0.5)
    torch.manual_seed(3)
    first = layer.train()(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)
