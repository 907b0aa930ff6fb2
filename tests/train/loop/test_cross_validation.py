"""The training loop on real small networks: what moves, what stays, what is remembered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from train.config import TrainConfig
from train.devices.fabric import make_fabric
from train.evaluate.final_test import final_weights
from train.loop.cross_validation import SETTLING, cross_validate, rates_of
from train.loop.embeddings import embeddings_of
from train.loop.inference import logits_of
from train.loop.state import EpochRow, Progress
from train.loop.train_step import class_weights
from train.loop.trainer import Trainer
from train.models.backbone import create_backbone
from train.models.classifier import Classifier, new_classifier

pytestmark = pytest.mark.slow  # whole commands, or as long as these


class Noise:
    """24 pictures of noise in 3 classes: enough to see what training touches."""

    digests: np.ndarray | None = None

    def __init__(self, n: int = 24) -> None:
        rng = np.random.default_rng(0)
        self.images = torch.from_numpy(rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8))
        self.labels = np.arange(n) % 3

    def batches(
        self, positions: np.ndarray, *, batch_size: int, seed: int | None = None, pin: bool = False
    ) -> DataLoader:
        """In order, or shuffled by the seed."""
        if seed is not None:
            positions = np.random.default_rng(seed).permutation(positions)
        labels = torch.from_numpy(self.labels)
        return DataLoader(TensorDataset(self.images[positions], labels[positions]), batch_size)


class Rows:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[EpochRow] = []

    def epoch(self, fold: int, row: EpochRow) -> None:
        """Keep it."""
        self.rows.append(row)

    def head(self, fold: int, progress: Progress) -> None:
        """Already in the rows."""


def start(tmp_path: Path, pictures: Noise, **options: object) -> Trainer:
    """A trainer of test_resnet on the pictures."""
    config = TrainConfig(  # type: ignore[arg-type]
        **{"batch_size": 6, "finetune": "all", "final": "best", **options}
    )
    torch.manual_seed(0)
    backbone, fabric = create_backbone("test_resnet"), make_fabric("cpu", "32-true")
    model = new_classifier(
        backbone,
        3,
        (32, 32),
        dropout=config.dropout,
        pooling=config.pooling,
        with_head_phase=config.head_epochs > 0,
    )
    return Trainer.start(fabric, model, pictures, config, tmp_path, Rows())


def train(tmp_path: Path, pictures: Noise, **options: object) -> tuple[Trainer, list[Progress]]:
    """Train test_resnet for one fold: the last 6 pictures are held out."""
    trainer = start(tmp_path, pictures, **options)
    n = len(pictures.labels)
    return trainer, cross_validate(trainer, [(np.arange(n - 6), np.arange(n - 6, n))])


@pytest.mark.parametrize(
    ("finetune", "moves"),
    [("none", set()), ("last:1", {"layer4"}), ("last:2", {"layer3", "layer4"})],
)
def test_frozen_stages_stay_bit_for_bit(tmp_path: Path, finetune: str, moves: set[str]) -> None:
    trainer, [progress] = train(
        tmp_path, Noise(), finetune=finetune, epochs=2, head_epochs=3, patience=9
    )
    torch.manual_seed(0)
    start = create_backbone("test_resnet").state_dict()
    now = trainer.model.backbone.state_dict()
    moved = {name.split(".")[0] for name in start if not torch.equal(start[name], now[name])}
    assert moved == moves
    phases = [row.phase for row in progress.history]
    assert phases == ["head"] * 3 + ["finetune"] * (0 if finetune == "none" else 2)


def test_the_first_loss_is_near_that_of_guessing(tmp_path: Path) -> None:
    trainer, _ = train(tmp_path, Noise(), head_epochs=0, epochs=1, learning_rate=1e-6)
    assert trainer.log.rows[0].train_loss == pytest.approx(np.log(3), abs=0.25)  # type: ignore[attr-defined]


def test_it_can_learn_noise_by_heart(tmp_path: Path) -> None:
    """18 pictures without any pattern: a loop that trains must fit them, and validation cannot."""
    _, [progress] = train(
        tmp_path, Noise(), head_epochs=0, epochs=25, patience=25, plateau_patience=25,
        learning_rate=0.05, dropout=0.0, label_smoothing=0.0,
    )  # fmt: skip
    last = progress.history[-1]
    assert last.validation_loss is not None
    assert last.train_loss < 0.2 < 0.8 < last.validation_loss


def test_the_best_epoch_is_the_one_that_is_kept(tmp_path: Path) -> None:
    """Its weights give its logits again, whatever later epochs did."""
    pictures = Noise()
    trainer, [progress] = train(tmp_path, pictures, head_epochs=4, epochs=4, learning_rate=0.05)
    losses = [row.validation_loss for row in progress.history]
    assert progress.best_row == int(np.argmin(losses))
    trainer.model.load_state_dict(progress.best_weights)
    held_out = trainer.batches(np.arange(18, 24))
    again = logits_of(trainer.model, held_out, torch.device("cpu"))
    assert progress.best_logits is not None
    assert np.allclose(again, progress.best_logits.numpy(), atol=1e-3)  # float16 embeddings


def test_class_weights_equal_scikit_learns_balanced_ones() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    pictures = Noise()
    pictures.labels = np.array([0] * 12 + [1] * 8 + [2] * 4)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=pictures.labels)
    assert np.allclose(class_weights(pictures.labels, 3).numpy(), expected)


def test_the_normalisation_is_part_of_the_network() -> None:
    model = Classifier(create_backbone("test_resnet"), 3, dropout=0.0).eval()
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    mean, std = (
        torch.tensor(model.backbone.pretrained_cfg[k]).view(3, 1, 1) for k in ("mean", "std")
    )
    with torch.inference_mode():
        expected = model.head(model.backbone((images / 255 - mean) / std))
        assert torch.allclose(model(images), expected, atol=1e-5)


def test_the_refit_trains_on_everything_by_the_median_folds_rates(tmp_path: Path) -> None:
    pictures = Noise()
    trainer = start(tmp_path, pictures, final="refit", head_epochs=6, epochs=2, patience=2)
    folds = [(np.arange(8, 24), np.arange(8)), (np.arange(16), np.arange(16, 24))]
    *tried, refit = cross_validate(trainer, folds)
    assert len(tried) == 2
    median = sorted(tried, key=lambda progress: progress.best_row)[1]
    until_best = [row.learning_rate for row in median.history[: median.best_row + 1]]
    tuned = median.history[median.best_row].phase == "finetune"
    last = until_best[-1] if tuned else until_best[-1] / 10
    assert [row.learning_rate for row in refit.history][-1] == last
    assert len(refit.history) <= len(until_best) + SETTLING
    rows = embeddings_of(start(tmp_path, pictures), np.arange(24))[np.arange(24)]
    shift = torch.from_numpy(rows).float().mean(0)
    assert torch.allclose(refit.best_weights["shift"], shift, atol=1e-3)  # of all 24 pictures


def test_few_pictures_are_waited_for_in_steps(tmp_path: Path) -> None:
    """18 pictures are three steps: 120 steps without a lower loss are 40 epochs, not 3."""
    _, [progress] = train(tmp_path, Noise(), finetune="none", head_patience=3)
    losses = [row.validation_loss for row in progress.history]
    assert len(losses) == int(np.argmin(losses)) + 1 + 40


def test_rates_of_a_fold_end_at_its_best_epoch_and_the_heads_settle() -> None:
    head = [
        EpochRow("head", epoch, rate, 1.0, validation_loss)
        for epoch, rate, validation_loss in [(1, 2, 0.9), (2, 2, 0.7), (3, 0.2, 0.8)]
    ]
    tuned = [EpochRow("finetune", epoch, rate, 1.0) for epoch, rate in [(1, 0.3), (2, 0.03)]]
    history = [*head, *tuned]
    settling = [2, 2, 0.2, 0.2, 0.2]
    assert rates_of(Progress(history=history, best_row=3)) == {"head": settling, "finetune": [0.3]}
    assert rates_of(Progress(history=history, best_row=1)) == {"head": settling, "finetune": []}
    assert rates_of(Progress(history=tuned, best_row=0)) == {"head": [], "finetune": [0.3]}


def test_the_shipped_weights_are_those_asked_for() -> None:
    def progress(value: float, loss: float) -> Progress:
        weights = {"w": torch.full((2,), float(value)), "n": torch.tensor(3)}
        return Progress(best_weights=weights, best_loss=loss)

    finished = [progress(1, 0.5), progress(2, 0.4), progress(6, 0.9), progress(100, 0.0)]
    assert final_weights(finished, 3, "refit")[0]["w"].tolist() == [100, 100]
    assert final_weights(finished, 3, "best")[0]["w"].tolist() == [2, 2]
    soup, about = final_weights(finished, 3, "soup")
    assert soup["w"].tolist() == [3, 3]
    assert soup["n"].item() == 3
    assert "3 folds" in about


def test_what_hangs_on_the_machine_is_settled_before_training() -> None:
    asked = TrainConfig()
    assert asked.settled(on_cpu=True, random_weights=False).finetune == "none"
    assert asked.settled(on_cpu=False, random_weights=False).finetune == "all"
    alone = asked.settled(on_cpu=True, random_weights=True)
    assert (alone.finetune, alone.head_epochs) == ("all", 0)
    named = TrainConfig(finetune="last:2").settled(on_cpu=True, random_weights=False)
    assert (named.finetune, named.head_epochs) == ("last:2", asked.head_epochs)


def resumable(tmp_path: Path) -> Trainer:
    """A trainer whose run has a checkpoint of its one fold."""
    options = {"finetune": "none", "head_epochs": 2}
    train(tmp_path, Noise(), **options)
    return start(tmp_path, Noise(), **options)


DAMAGE: dict[str, Callable[[Path, dict[str, Any]], object]] = {
    "cut": lambda file, _: file.write_bytes(file.read_bytes()[:-2000]),
    "foreign": lambda file, _: torch.save({"fc.weight": torch.zeros(2)}, file),
    "a list": lambda file, _: torch.save([1, 2], file),
    "another fold": lambda file, values: torch.save({**values, "fold": 2}, file),
    "other weights": lambda file, values: torch.save(
        {**values, "best_weights": {"head.weight": torch.zeros(3)}}, file
    ),
    "other logits": lambda file, values: torch.save(
        {**values, "best_logits": torch.zeros(5, 3)}, file
    ),
    "a hostile row": lambda file, values: torch.save(
        {**values, "history": [{"phase": "head", "epoch": "x"}]}, file
    ),
    "an epoch in words": lambda file, values: torch.save({**values, "epoch": "three"}, file),
    "no best row": lambda file, values: torch.save({**values, "best_row": 99}, file),
    "another loss": lambda file, values: torch.save({**values, "best_loss": 0.5}, file),
    "logits that are a number": lambda file, values: torch.save({**values, "best_logits": 7}, file),
    "an optimizer that is a number": lambda file, values: torch.save(
        {**values, "optimizer": 7}, file
    ),
    "one weight": lambda file, values: torch.save(
        {
            **values,
            "best_weights": {name: w + 1 for name, w in values["best_weights"].items()},
        },
        file,
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, kind: str) -> None:
    trainer, file = resumable(tmp_path), tmp_path / "checkpoints" / "fold_1.pth"
    DAMAGE[kind](file, torch.load(file, weights_only=True))
    with pytest.raises(ValueError, match=r"fold_1\.pth") as error:
        cross_validate(trainer, [(np.arange(18), np.arange(18, 24))])
    assert "\n" not in str(error.value)


def test_what_a_fold_left_is_not_taken_for_the_next_ones(tmp_path: Path) -> None:
    """Killed between writing fold_1.pth and removing current.pth: fold 2 began at fold 1's end."""
    folds = [(np.arange(8, 24), np.arange(8)), (np.arange(16), np.arange(16, 24))]
    options = {"head_epochs": 0, "epochs": 2}
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    expected = cross_validate(start(tmp_path / "a", Noise(), **options), folds)
    trainer = start(tmp_path / "b", Noise(), **options)
    current = tmp_path / "b" / "checkpoints" / "current.pth"
    kept: list[bytes] = []
    seen = trainer.log.epoch

    def stop(fold: int, row: EpochRow) -> None:
        if fold == 2:
            raise KeyboardInterrupt
        kept.append(current.read_bytes())
        seen(fold, row)

    trainer.log.epoch = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        cross_validate(trainer, folds)
    current.write_bytes(kept[-1])
    resumed = cross_validate(start(tmp_path / "b", Noise(), **options), folds)
    assert [one.history for one in resumed] == [one.history for one in expected]


def test_a_loss_that_is_no_number_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fold 1: the loss was not a number in any epoch"):
        train(tmp_path, Noise(), finetune="none", head_epochs=2, head_learning_rate=1e38)
