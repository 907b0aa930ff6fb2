"""The training loop on real small networks: what moves, what stays, what is remembered."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from train.classifier import Classifier, create_backbone
from train.config import TrainConfig
from train.device import make_fabric
from train.files import write_whole
from train.folds import Trainer, cross_validate
from train.inference import logits_of
from train.loop import Progress, Row


class Noise:
    """24 pictures of noise in 3 classes: enough to see what training touches."""

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
        self.rows: list[Row] = []

    def epoch(self, fold: int, row: Row) -> None:
        """Keep it."""
        self.rows.append(row)

    def head(self, fold: int, progress: Progress) -> None:
        """Already in the rows."""


def train(tmp_path: Path, pictures: Noise, **options: object) -> tuple[Trainer, list[Progress]]:
    """Train test_resnet for one fold: the last 6 pictures are held out."""
    config = TrainConfig(**{"batch_size": 6, "precision": "32-true", **options})  # type: ignore[arg-type]
    torch.manual_seed(0)
    backbone = create_backbone("test_resnet")
    trainer = Trainer.start(
        make_fabric("cpu", "32-true"), backbone, pictures, 3, (32, 32), config, tmp_path, Rows()
    )
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
    phases = [row["phase"] for row in progress.history]
    assert phases == ["head"] * 3 + ["finetune"] * (0 if finetune == "none" else 2)


def test_the_first_loss_is_near_that_of_guessing(tmp_path: Path) -> None:
    trainer, _ = train(tmp_path, Noise(), head_epochs=0, epochs=1, learning_rate=1e-6)
    assert trainer.log.rows[0]["train_loss"] == pytest.approx(np.log(3), abs=0.25)  # type: ignore[attr-defined]


def test_it_can_learn_noise_by_heart(tmp_path: Path) -> None:
    """18 pictures without any pattern: a loop that trains must fit them, and validation cannot."""
    _, [progress] = train(
        tmp_path, Noise(), head_epochs=0, epochs=25, patience=25, plateau_patience=25,
        learning_rate=0.05, dropout=0.0,
    )  # fmt: skip
    assert progress.history[-1]["train_loss"] < 0.2 < 0.8 < progress.history[-1]["validation_loss"]


def test_the_best_epoch_is_the_one_that_is_kept(tmp_path: Path) -> None:
    """Its weights give its logits again, whatever later epochs did."""
    pictures = Noise()
    trainer, [progress] = train(tmp_path, pictures, head_epochs=4, epochs=4, learning_rate=0.05)
    losses = [row["validation_loss"] for row in progress.history]
    assert progress.best_row == int(np.argmin(losses))
    trainer.model.load_state_dict(progress.best_weights)
    held_out = trainer.batches(np.arange(18, 24))
    again = logits_of(trainer.model, held_out, torch.device("cpu"))
    assert progress.best_logits is not None
    assert np.allclose(again, progress.best_logits.numpy(), atol=1e-3)  # float16 embeddings


def test_class_weights_equal_scikit_learns_balanced_ones(tmp_path: Path) -> None:
    from sklearn.utils.class_weight import compute_class_weight

    from train.folds import _balanced

    pictures = Noise()
    pictures.labels = np.array([0] * 12 + [1] * 8 + [2] * 4)
    trainer, _ = train(tmp_path, pictures, finetune="none", head_epochs=1)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=pictures.labels)
    assert np.allclose(_balanced(trainer, np.arange(24)).numpy(), expected)


def test_the_normalisation_is_part_of_the_network() -> None:
    model = Classifier(create_backbone("test_resnet"), 3, dropout=0.0).eval()
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    mean, std = (
        torch.tensor(model.backbone.pretrained_cfg[k]).view(3, 1, 1) for k in ("mean", "std")
    )
    with torch.inference_mode():
        expected = model.head(model.backbone((images / 255 - mean) / std))
        assert torch.allclose(model(images), expected, atol=1e-5)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "model.pth"
    file.write_text("old")

    def full_disk(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_whole(file, full_disk)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
