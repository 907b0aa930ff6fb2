"""One step of training: its gradient in parts, what it does without memory, and each option."""

import functools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from tests.train.loop.test_cross_validation import Noise, start, train
from train.config import TrainConfig
from train.devices.fabric import make_fabric
from train.loop.cross_validation import chances_of, cross_validate, finetuning
from train.loop.inference import apply
from train.loop.micro_batch import MicroBatch
from train.loop.mixup import mixing
from train.loop.optim import make_optimizer, planned_rate, set_rate
from train.loop.state import EpochRow, Fold
from train.loop.train_step import MAX_GRADIENT_NORM, Loss, Step, class_weights
from train.models.backbone import create_backbone
from train.models.classifier import Classifier

WEIGHTS = torch.tensor([1.0, 2.0, 5.0])


class Small(nn.Module):
    """A linear network that has memory for `most` rows, and otherwise fails as torch does."""

    def __init__(self, most: int = 1000) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.most = nn.Linear(4, 3), most
        self.seen: list[int] = []

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits (B, 3)."""
        self.seen.append(len(rows))
        logits = self.linear(rows)
        if len(rows) > self.most:
            logits.register_hook(lambda _: torch.empty(2**60, dtype=torch.uint8).sum())
        return logits


def stepped(
    model: Small, n: int, micro_batch: MicroBatch, **options: object
) -> tuple[Step, torch.Tensor]:
    """One step on n rows, and its loss."""
    fabric = make_fabric("cpu", "32-true")
    wrapped, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), 0.1))
    step = Step(fabric, wrapped, optimizer, Loss(WEIGHTS, 0.1), micro_batch, **options)  # type: ignore[arg-type]
    rows = torch.randn(n, 4, generator=torch.Generator().manual_seed(1))
    return step, step(rows, torch.arange(n) % 3)


@pytest.mark.parametrize("most", [1, 3, 4, 7])
def test_parts_of_a_batch_add_up_to_torchs_gradient_of_the_mean(most: int) -> None:
    reference, model = Small(), Small()
    rows = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    loss = cross_entropy(reference(rows), torch.arange(7) % 3, WEIGHTS, label_smoothing=0.1)
    loss.backward()
    nn.utils.clip_grad_norm_(reference.parameters(), MAX_GRADIENT_NORM)
    _, total = stepped(model, 7, MicroBatch(most))
    assert total.item() / 7 == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(model.linear.weight.grad, reference.linear.weight.grad)
    assert len(model.seen) == math.ceil(7 / most) and max(model.seen) - min(model.seen) <= 1


def test_validation_is_measured_by_the_loss_of_training() -> None:
    logits, labels = torch.randn(7, 3), torch.arange(7) % 3
    expected = cross_entropy(logits, labels, WEIGHTS, label_smoothing=0.1).item()
    assert Loss(WEIGHTS, 0.1).mean(logits, labels) == pytest.approx(expected)
    assert Loss().mean(logits, labels) == pytest.approx(cross_entropy(logits, labels).item())


def test_without_memory_the_parts_are_halved_and_the_step_is_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The allocator's own error, raised in the backward pass, when some gradients are there."""
    plenty, short, parts = Small(), Small(most=3), MicroBatch()
    stepped(plenty, 8, MicroBatch())
    step, _ = stepped(short, 8, parts)
    assert short.seen == [8, 4, 2, 2, 2, 2]
    torch.testing.assert_close(short.linear.weight, plenty.linear.weight)
    step(torch.zeros(8, 4), torch.zeros(8, dtype=torch.int64))
    assert short.seen[6:] == [2, 2, 2, 2]
    said = capsys.readouterr().out.splitlines()
    assert said == ["note: out of memory; going on with 2 pictures at a time, whose gradients add "
                    "up to those of a batch"]  # fmt: skip


def test_an_evaluation_is_halved_too_and_answers_in_order() -> None:
    def doubled(rows: torch.Tensor) -> torch.Tensor:
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 2 * rows

    batches = [(torch.arange(5.0)[:, None], torch.zeros(5)), (torch.ones(1, 1), torch.zeros(1))]
    answers = apply(doubled, batches, torch.device("cpu"))
    assert answers[:, 0].tolist() == [0, 2, 4, 6, 8, 2]


def test_other_errors_and_a_picture_too_large_are_not_tried_again() -> None:
    with pytest.raises(ValueError, match="a single picture does not fit into the memory"):
        stepped(Small(most=0), 4, MicroBatch())
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        apply(Small(), [(torch.zeros(2, 5), torch.zeros(2))], torch.device("cpu"))


def test_micro_batches_train_as_whole_batches_do(tmp_path: Path) -> None:
    """After a head phase batch normalisation keeps its statistics."""
    losses = []
    for name, options in (("a", {}), ("b", {"micro_batch": 4})):
        (folder := tmp_path / name).mkdir()
        _, [progress] = train(folder, Noise(), head_epochs=2, epochs=3, dropout=0.0, **options)
        losses.append([row.validation_loss for row in progress.history])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][-1] != losses[0][-2]


def test_each_layer_learns_slower_than_the_one_above() -> None:
    model = Classifier(create_backbone("test_resnet"), 3, dropout=0.0)
    config = TrainConfig(layer_decay=0.5)
    optimizer = make_optimizer(model, learning_rate=0.1, config=config)
    rate_of = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert len(rate_of) == len(list(model.parameters()))
    assert rate_of[id(model.head.weight)] == optimizer.param_groups[0]["lr"] == 0.1
    stages = [next(getattr(model.backbone, f"layer{i}").parameters()) for i in (1, 2, 3, 4)]
    rates = [rate_of[id(p)] for p in stages]
    assert rates == sorted(rates) and rates[0] < rates[3] <= 0.1
    before = [group["lr"] for group in optimizer.param_groups]
    set_rate(optimizer, 0.01)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([r / 10 for r in before])
    with pytest.raises(ValueError, match="did you mean"):
        make_optimizer(model, learning_rate=0.1, config=TrainConfig(optimizer="adamv"))


def test_the_cosine_rises_falls_and_never_reaches_zero() -> None:
    config = TrainConfig(learning_rate=0.8, schedule="cosine", warmup_epochs=3)
    rates = [planned_rate(config, epoch, 11) for epoch in range(1, 12)]
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates[7] == pytest.approx(0.4)  # half way
    assert rates[3:] == sorted(rates[3:], reverse=True) and rates[-1] > 0  # type: ignore[operator,type-var]
    plateau = TrainConfig(learning_rate=0.8, warmup_epochs=1)
    assert [planned_rate(plateau, epoch, 9) for epoch in (1, 2, 3)] == [0.4, 0.8, None]


def test_mixed_pictures_have_the_labels_of_both() -> None:
    torch.manual_seed(3)
    images = torch.stack([torch.full((3, 8, 8), float(k)) for k in (0, 0, 100, 100)])
    labels = torch.tensor([0, 0, 1, 1])
    for options in ({"mixup": 1.0}, {"cutmix": 1.0}):
        mix = mixing(TrainConfig(**options), 2)  # type: ignore[arg-type]
        assert mix is not None
        mixed, targets = mix(images, labels)
        part = mixed.mean(dim=(1, 2, 3)) / 100  # of what is bright, so of class 1
        torch.testing.assert_close(part, targets[:, 1])
        assert 0 < targets[0, 1] < 1
    assert mixing(TrainConfig(), 2) is None


def test_the_sampler_shows_every_class_as_often(tmp_path: Path) -> None:
    pictures = Noise(400)
    pictures.labels = np.array([0] * 360 + [1] * 30 + [2] * 10)
    trainer = start(tmp_path, pictures, balance="sampler", batch_size=400)
    phase = finetuning(trainer, Fold(1, np.arange(400), np.arange(3)))
    assert phase.class_weights is None  # not twice
    [(_, labels)] = list(phase.train_batches(5))
    counts = np.bincount(labels)
    assert counts.sum() == 400 and counts.min() > 100
    [(_, again)] = list(phase.train_batches(5))
    assert torch.equal(labels, again)


def test_the_mean_of_the_weights_is_what_is_tested_and_kept(tmp_path: Path) -> None:
    pictures = Noise()
    options = {"head_epochs": 0, "epochs": 3, "learning_rate": 0.1, "dropout": 0.0}
    trainer, [progress] = train(tmp_path / "a", pictures, ema=0.9, **options)
    _, [plain] = train(tmp_path / "b", pictures, **options)
    losses = [row.train_loss for row in progress.history]
    assert losses == [row.train_loss for row in plain.history]  # training goes as without
    name = "head.weight"
    assert not torch.equal(progress.best_weights[name], plain.best_weights[name])
    trainer.model.load_state_dict(progress.best_weights)
    held_out = trainer.batches(np.arange(18, 24))
    again = apply(trainer.model.eval(), held_out, torch.device("cpu"))
    assert progress.best_logits is not None
    np.testing.assert_allclose(again, progress.best_logits, atol=1e-5)


def test_a_compiled_network_trains_alike_and_keeps_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced by torch, but run as it is: a C++ compiler would take a minute."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    options = {"head_epochs": 0, "epochs": 2, "dropout": 0.0}
    _, [compiled] = train(tmp_path / "a", Noise(), compile="yes", **options)
    _, [plain] = train(tmp_path / "b", Noise(), **options)
    assert compiled.best_weights.keys() == plain.best_weights.keys()
    losses = ([row.train_loss for row in one.history] for one in (compiled, plain))
    assert next(losses) == pytest.approx(next(losses))


RECIPE = {
    "optimizer": "adamw", "learning_rate": 0.001, "layer_decay": 0.7, "schedule": "cosine",
    "warmup_epochs": 1, "label_smoothing": 0.1, "mixup": 0.2, "cutmix": 1.0, "drop_path": 0.2,
    "ema": 0.9, "balance": "sampler", "micro_batch": 4,
}  # fmt: skip


def test_a_fold_with_every_option_resumes_in_its_middle(tmp_path: Path) -> None:
    """Stopped after two epochs and begun again in a new process's state: the same to the end."""
    pictures, kwargs = Noise(), {"head_epochs": 2, "epochs": 4, **RECIPE}
    (tmp_path / "whole").mkdir(), (tmp_path / "stopped").mkdir()
    whole, [expected] = train(tmp_path / "whole", pictures, **kwargs)
    folds = [(np.arange(18), np.arange(18, 24))]

    stopped = start(tmp_path / "stopped", pictures, **kwargs)
    seen = stopped.log.epoch

    def stop(fold: int, row: EpochRow) -> None:
        seen(fold, row)
        if row.phase == "finetune" and row.epoch == 2:
            raise KeyboardInterrupt

    stopped.log.epoch = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        cross_validate(stopped, folds)
    torch.manual_seed(99)
    [resumed] = cross_validate(start(tmp_path / "stopped", pictures, **kwargs), folds)
    assert resumed.history == expected.history
    for name, tensor in expected.best_weights.items():
        assert torch.equal(resumed.best_weights[name], tensor)
    assert whole.micro_batch.size == 4


def test_the_loss_of_several_labels_is_torchs_with_softened_targets() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 4, generator=rng)
    targets = (torch.rand(6, 4, generator=rng) < 0.4).float()
    targets[0] = 0.3  # as mixup makes them
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    for smoothing, soft in ((0.0, targets), (0.1, 0.9 * targets + 0.05)):
        loss = Loss(weights, smoothing, several=True)
        expected = nn.functional.binary_cross_entropy_with_logits(logits, soft, pos_weight=weights)
        assert loss.mean(logits, targets) == pytest.approx(4 * expected.item(), rel=1e-5)
    labels = targets[1:].numpy()
    found = class_weights(labels, 4).numpy()
    assert found * labels.sum(axis=0) == pytest.approx(len(labels) - labels.sum(axis=0))
    right = (logits[1:].numpy() > 0) == (labels > 0)
    assert loss.accuracy(logits[1:].numpy(), labels) == right.all(axis=1).mean()


def test_the_sampler_draws_each_of_several_labels_alike() -> None:
    """A label of one in ten is in as many draws as one of all, where none has both."""
    labels = np.zeros((100, 2), np.float32)
    labels[:90, 0], labels[90:, 1] = 1, 1
    chances = chances_of(labels)
    assert chances @ labels == pytest.approx([0.5, 0.5])
    single = chances_of(labels.argmax(axis=1))
    assert single == pytest.approx(chances)
