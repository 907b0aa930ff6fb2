"""Embeddings in the cache: computed once, never another picture's, weights' or precision's."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.train.loop.test_cross_validation import Noise, start
from train.devices.fabric import make_fabric
from train.loop import embeddings as module
from train.loop import inference as engines
from train.loop.embeddings import embeddings_of
from train.loop.inference import by_onnxruntime, frozen_features
from train.loop.trainer import EmbeddingCache, Trainer

pytestmark = pytest.mark.slow  # whole commands, or as long as these

EVERYTHING = np.arange(24)


class Known(Noise):
    """Pictures that are known by their pixels; counts those that are read."""

    def __init__(self, n: int = 24) -> None:
        super().__init__(n)
        self.n_read = 0

    @property
    def digests(self) -> np.ndarray:  # type: ignore[override]
        """A digest of the pixels of each picture."""
        return np.array([bytes([1]) + bytes(one.flatten()[:31]) for one in self.images], "S32")

    def batches(self, positions: np.ndarray, **options: object) -> DataLoader:  # type: ignore[override]
        """As those of `Noise`."""
        self.n_read += len(positions)
        return super().batches(positions, **options)  # type: ignore[arg-type]


def trainer_of(tmp_path: Path, pictures: Known, **options: object) -> Trainer:
    """A trainer that keeps embeddings in tmp_path/cache."""
    trainer = start(tmp_path / "run", pictures, **options)
    return dataclasses.replace(trainer, cache=EmbeddingCache(tmp_path / "cache", 1.0))


def expected(trainer: Trainer) -> np.ndarray:
    """The embeddings of all pictures, computed here."""
    model, pictures = trainer.model.eval(), trainer.pictures
    with torch.inference_mode():
        return model.features(pictures.images).numpy()  # type: ignore[attr-defined]


def test_a_later_run_reads_no_picture_again(tmp_path: Path) -> None:
    pictures = Known()
    trainer = trainer_of(tmp_path, pictures)
    rows = embeddings_of(trainer, EVERYTHING)
    assert rows.shape == (24, trainer.model.n_features) and pictures.n_read == 24
    np.testing.assert_allclose(rows[EVERYTHING], expected(trainer), rtol=2e-3, atol=2e-3)
    again = embeddings_of(trainer_of(tmp_path, pictures, head_epochs=7), EVERYTHING[5:])
    assert pictures.n_read == 24
    np.testing.assert_array_equal(again[EVERYTHING[5:]], rows[EVERYTHING[5:]])


def test_only_changed_and_new_pictures_are_embedded(tmp_path: Path) -> None:
    pictures = Known()
    embeddings_of(trainer_of(tmp_path, pictures), EVERYTHING[:20])
    pictures.images[3] = 255 - pictures.images[3]
    trainer = trainer_of(tmp_path, pictures)
    rows = embeddings_of(trainer, EVERYTHING)
    assert pictures.n_read == 20 + 5
    np.testing.assert_allclose(rows[EVERYTHING], expected(trainer), rtol=2e-3, atol=2e-3)
    order = np.random.default_rng(0).permutation(24)  # the folder lists them in another order
    pictures.images, pictures.labels = pictures.images[order], pictures.labels[order]
    shuffled = embeddings_of(trainer_of(tmp_path, pictures), EVERYTHING)
    assert pictures.n_read == 25
    np.testing.assert_array_equal(shuffled[EVERYTHING], rows[order])


@pytest.mark.parametrize("change", ["weights", "pooling"])
def test_another_network_is_not_answered_with_them(tmp_path: Path, change: str) -> None:
    pictures = Known()
    embeddings_of(trainer_of(tmp_path, pictures), EVERYTHING)
    other = trainer_of(tmp_path, pictures, pooling="last" if change == "pooling" else "auto")
    if change == "weights":
        with torch.no_grad():
            next(other.model.backbone.parameters()).add_(1e-3)
    rows = embeddings_of(other, EVERYTHING)
    assert pictures.n_read == 48
    np.testing.assert_allclose(rows[EVERYTHING], expected(other), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("damage", ["noise", "cut", "foreign"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, damage: str) -> None:
    pictures = Known()
    trainer = trainer_of(tmp_path, pictures)
    whole = embeddings_of(trainer, EVERYTHING)[EVERYTHING]
    [file] = (tmp_path / "cache").rglob("rows.npy")
    content = bytearray(file.read_bytes())
    if damage == "noise":
        content[200:400] = bytes(200)
    file.write_bytes({"noise": content, "cut": content[:-50], "foreign": b"hello"}[damage])
    np.testing.assert_array_equal(embeddings_of(trainer, EVERYTHING)[EVERYTHING], whole)
    assert pictures.n_read == 48


def test_the_cache_keeps_to_its_limit(tmp_path: Path) -> None:
    pictures = Known()
    trainer = trainer_of(tmp_path, pictures)
    n_bytes = 2 * 24 * trainer.model.n_features
    limit = EmbeddingCache(tmp_path / "cache", 1.5 * n_bytes / module.GIB)
    for shade in range(3):
        pictures.images[:] = torch.roll(pictures.images, 1, dims=3) + shade
        embeddings_of(dataclasses.replace(trainer, cache=limit), EVERYTHING)
        assert len(list((tmp_path / "cache").rglob("rows.npy"))) == 1
    nothing = EmbeddingCache(tmp_path / "none", 0.5 * n_bytes / module.GIB)
    embeddings_of(dataclasses.replace(trainer, cache=nothing), EVERYTHING)
    assert not (tmp_path / "none").exists()
    assert len(list((tmp_path / "run").rglob("rows.npy"))) == 1


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    trainer = trainer_of(tmp_path, Known())
    rows = embeddings_of(trainer, EVERYTHING)
    np.testing.assert_allclose(rows[EVERYTHING], expected(trainer), rtol=2e-3, atol=2e-3)


def test_onnxruntime_computes_the_same_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PICTURES_TO_EXPORT", 10)
    trainer = trainer_of(tmp_path, Known())
    in_full = make_fabric("cpu", "32-true")
    images = trainer.pictures.images  # type: ignore[attr-defined]
    used: list[str] = []
    monkeypatch.setattr(
        engines, "_session", lambda *given: used.append("session") or SESSION(*given)
    )
    features = frozen_features(trainer.model, in_full, 24)
    found = torch.cat([features(part) for part in images.split(10)])  # the last is smaller
    truth = torch.from_numpy(expected(trainer))
    assert used == ["session"]
    assert (found - truth).abs().max() <= 1e-3 * truth.abs().max()
    frozen_features(trainer.model, in_full, 9)(images[:2])
    assert used == ["session"]  # too few pictures to win back what the program costs
    frozen_features(trainer.model, make_fabric("cpu", "bf16-mixed"), 24)(images[:2])
    assert used == ["session"]  # torch is as fast in bfloat16


def test_an_engine_that_differs_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    truth = torch.randn(2, 5)
    for other, used in ((truth + 0.01, False), (truth + 1e-5, True)):
        monkeypatch.setattr(engines, "_session", lambda *_, other=other: lambda images: other)
        features = by_onnxruntime(None, lambda images: truth)  # type: ignore[arg-type]
        assert torch.equal(features(images), other if used else truth)
    monkeypatch.setattr(engines, "_session", lambda *_: None)
    assert torch.equal(by_onnxruntime(None, lambda _: truth)(images), truth)  # type: ignore[arg-type]


SESSION = engines._session
