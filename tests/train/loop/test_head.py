"""Last layers side by side: the same numbers as one after another, and seeds of their own."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.loop.test_cross_validation import Noise, start
from train.devices.fabric import make_fabric
from train.loop import head as head_module
from train.loop.embeddings import Embeddings
from train.loop.head import StandardisedRows, fit_heads, new_head, standardise
from train.loop.state import Fold, Progress
from train.loop.trainer import Trainer
from train.models.classifier import Head

pytestmark = pytest.mark.slow  # whole commands, or as long as these

N, F = 60, 40
FOLDS = [
    Fold(k, np.setdiff1d(np.arange(N), part), part)
    for k, part in enumerate(np.split(np.arange(N), 5), start=1)
]


def random_embeddings() -> Embeddings:
    """Embeddings of 60 pictures in which the classes of `Noise` can be told."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N, F))
    values[:, :3] += 4 * np.eye(3)[np.arange(N) % 3]
    return Embeddings(values.astype(np.float16), np.arange(N))


def trainer_of(tmp_path: Path, n_features: int = F, **options: object) -> Trainer:
    """A trainer whose embeddings have so many features."""
    trainer = start(tmp_path, Noise(N), finetune="none", **options)
    trainer.model.head = torch.nn.Linear(n_features, 3)
    return trainer


def heads_by(n_threads: int, trainer: Trainer, folds: list[Fold]) -> list[Progress]:
    """The heads of folds, trained by so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        return list(fit_heads(trainer, folds, random_embeddings()))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_side_by_side_they_are_bit_for_bit_as_one_after_another(
    tmp_path: Path, precision: str
) -> None:
    """Fabric's own wrapper cannot: its backward pass in bfloat16 knows of one thread alone."""
    trainer = trainer_of(tmp_path, head_epochs=40, balance="loss")
    trainer = replace(trainer, fabric=make_fabric("cpu", precision))
    alone = [heads_by(1, trainer, [fold])[0] for fold in FOLDS]
    torch.manual_seed(99)  # no head may draw from torch's own generator
    for n_threads in (1, 2, 4):
        together = heads_by(n_threads, trainer, FOLDS)
        for one, other in zip(alone, together, strict=True):
            assert one.history == other.history
            assert one.best_weights.keys() == {"head.weight", "head.bias", "shift", "scale"}
            for name, tensor in one.best_weights.items():
                assert torch.equal(tensor, other.best_weights[name]), name


def test_they_learn(tmp_path: Path) -> None:
    heads = heads_by(2, trainer_of(tmp_path, head_epochs=60), FOLDS)
    accuracies = [head.history[head.best_row].validation_accuracy or 0.0 for head in heads]
    assert np.mean(accuracies) > 0.6  # chance is a third


def test_no_two_folds_share_a_seed(tmp_path: Path) -> None:
    """The same fold under another number starts elsewhere, and sees batches in another order.

    Seeded with their number alone, the head of a fold began as the next fold did.
    """
    trainer = trainer_of(tmp_path)
    embeddings = random_embeddings()
    starts = [new_head(trainer, fold, embeddings).head.weight for fold in FOLDS]
    assert all(not torch.equal(starts[0], other) for other in starts[1:])
    again = new_head(trainer, FOLDS[0], embeddings).head.weight
    assert torch.equal(starts[0], again)
    orders: list[np.ndarray] = []
    for fold in (FOLDS[0], Fold(2, FOLDS[0].train, FOLDS[0].validation)):
        [head] = heads_by(1, trainer_of(tmp_path, head_epochs=1), [fold])
        orders.append(head.best_weights["head.weight"].numpy())
    assert not np.array_equal(*orders)


def test_rows_that_do_not_fit_in_memory_are_the_same(tmp_path: Path) -> None:
    trainer, embeddings = trainer_of(tmp_path), random_embeddings()
    head = new_head(trainer, FOLDS[0], embeddings)
    at = np.array([59, 3, 20])
    held = StandardisedRows.of(trainer, FOLDS[0], head, embeddings, limit=2**30)
    read = StandardisedRows.of(trainer, FOLDS[0], head, embeddings, limit=0)
    assert held.values is not None and read.values is None
    assert torch.equal(held.at(at), read.at(at))
    expected = (torch.from_numpy(embeddings[at]).float() - head.shift) / head.scale
    assert torch.equal(read.at(at), expected)


def test_an_error_in_one_head_ends_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(tmp_path, head_epochs=100_000, head_patience=100_000)
    fit = head_module.fit

    def failing(*arguments: object) -> None:
        if arguments[2].fold == 1:  # type: ignore[attr-defined]
            raise ValueError("no")
        fit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(head_module, "fit", failing)
    with pytest.raises(ValueError, match="no"):
        heads_by(2, trainer, FOLDS)


def test_standardising_takes_no_memory_for_each_picture_and_part():
    """Of 300,000 pictures 0.6 MiB of numbers; 74 parts that each kept a copy of all took 170."""
    rows = np.random.default_rng(0).normal(3, 2, (300_000, 1)).astype(np.float16)
    head = Head(1, 2, dropout=0.0)
    tracemalloc.start()
    standardise(head, rows, np.arange(len(rows))[::-1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 2**20
    assert head.shift.item() == pytest.approx(3, abs=0.05)
    assert head.scale.item() == pytest.approx(2, abs=0.05)
