"""data.loader and data.transforms: what the network is shown, and that a seed decides it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data.cache import decode_all
from data.image import ImageSpec, read_picture
from data.loader import Pictures
from data.transforms import SpectrogramCrop, whole

SPEC = ImageSpec(width=20, height=16, canvas=(32, 24), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
Batch = tuple[torch.Tensor, torch.Tensor]


def make_pictures(
    root: Path, *, spec: ImageSpec = SPEC, decode: bool = True, workers: int = 0
) -> Pictures:
    """The image folder's 18 pictures, each labelled with its own position."""
    files = sorted(root.rglob("*.png"))
    decoded, failures = decode_all(files, spec["canvas"], gib=1 if decode else 0)
    assert not failures
    return Pictures(
        files, np.arange(len(files)), spec,
        decoded=decoded, crop=SpectrogramCrop(spec, min_time=0.5, min_frequency=0.9),
        workers=workers,
    )  # fmt: skip


def fetch(pictures: Pictures, *, batch_size: int = 4, seed: int | None = None) -> list[Batch]:
    return list(pictures.batches(np.arange(18), batch_size=batch_size, seed=seed))


def equal(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a, b)
        for pair in zip(first, second, strict=True)
        for a, b in zip(*pair, strict=True)
    )


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.tensor(pixels).permute(2, 0, 1)


@pytest.mark.parametrize("size", [(32, 24), (20, 16), (64, 48), (8, 8)])
@pytest.mark.parametrize("edge", ["first column", "last column", "first row", "last row"])
def test_every_edge_of_the_picture_reaches_the_network(
    tmp_path: Path, edge: str, size: tuple[int, int]
) -> None:
    """No centre crop, neither on the way to the canvas nor to the network's size."""
    pixels = np.zeros((24, 32, 3), np.uint8)
    at = 0 if edge.startswith("first") else -1
    pixels[(slice(None), at) if edge.endswith("column") else at] = 255
    Image.fromarray(pixels).save(tmp_path / "x.png")
    spec = ImageSpec(**{**SPEC, "width": size[0], "height": size[1]})
    for canvas in ((32, 24), (16, 16)):
        shown = whole(tensor(read_picture(tmp_path / "x.png", canvas)), spec)
        assert shown.shape == (3, size[1], size[0])
        assert shown[:, :, at].float().mean() > 10 if "column" in edge else True
        assert shown[:, at].float().mean() > 10 if "row" in edge else True


def test_batches_have_the_shapes_and_types_that_they_promise(image_folder: Path) -> None:
    for images, labels in fetch(make_pictures(image_folder), seed=1):
        assert images.dtype == torch.uint8
        assert images.shape == (len(labels), 3, 16, 20)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert labels.dtype == torch.int64


def test_evaluation_shows_the_whole_pictures_in_order(image_folder: Path) -> None:
    pictures = make_pictures(image_folder)
    images = torch.cat([images for images, _ in fetch(pictures)])
    labels = torch.cat([labels for _, labels in fetch(pictures)])
    assert labels.tolist() == list(range(18))
    for i, file in enumerate(sorted(image_folder.rglob("*.png"))):
        assert torch.equal(images[i], whole(tensor(read_picture(file)), SPEC))


def test_two_evaluations_are_equal(image_folder: Path) -> None:
    pictures = make_pictures(image_folder)
    assert equal(fetch(pictures), fetch(pictures))


def test_seed_decides_the_training_batches(image_folder: Path) -> None:
    pictures = make_pictures(image_folder)
    first = fetch(pictures, seed=1)
    torch.manual_seed(99)  # whatever ran before must not matter
    assert equal(first, fetch(pictures, seed=1))
    assert not equal(first, fetch(pictures, seed=2))


def test_labels_stay_with_their_pictures(tmp_path: Path) -> None:
    """Shuffling must not part them: each picture is one grey, which is its label."""
    for i in range(18):
        Image.new("L", (32, 24), 10 * i).save(tmp_path / f"{i:02}.png")
    for images, labels in fetch(make_pictures(tmp_path), seed=3):
        assert (images == 10 * labels[:, None, None, None]).all()


@pytest.mark.parametrize("seed", [None, 5])
def test_workers_and_decoding_change_nothing(image_folder: Path, seed: int | None) -> None:
    """Decoded in memory, decoded on the fly, by one process or by two: bit for bit the same."""
    spec = ImageSpec(**{**SPEC, "canvas": (24, 18)})  # not the pictures' size: both must resize
    in_memory = fetch(make_pictures(image_folder, spec=spec), seed=seed)
    for workers in (0, 2):
        pictures = make_pictures(image_folder, spec=spec, decode=False, workers=workers)
        assert pictures.decoded is None
        assert equal(in_memory, fetch(pictures, seed=seed))


def test_crops_differ_from_batch_to_batch_and_from_picture_to_picture(tmp_path: Path) -> None:
    """One crop for a whole batch, or the same in each batch, would be hardly any augmentation."""
    ramp = np.repeat(np.linspace(0, 255, 32).astype(np.uint8)[None], 24, axis=0)
    for i in range(18):
        Image.fromarray(ramp).save(tmp_path / f"{i:02}.png")
    crops = [image for images, _ in fetch(make_pictures(tmp_path), seed=6) for image in images]
    assert len({tuple(crop.flatten().tolist()) for crop in crops}) > 12


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**31))
def test_each_example_comes_once_and_no_batch_of_one_trains(n: int, size: int, seed: int) -> None:
    """Batch normalisation cannot train on one example; where all are one, nothing can be done."""
    pictures = Pictures(
        [Path("unread.png")] * n, np.arange(n), SPEC,
        decoded=np.zeros((n, 1, 1, 3), np.uint8),
        crop=SpectrogramCrop(SPEC, min_time=1, min_frequency=1), workers=0,
    )  # fmt: skip
    for used in (None, seed):
        loader = pictures.batches(np.arange(n), batch_size=size, seed=used)
        batches = [labels.tolist() for _, labels in loader]
        assert len(batches) == len(loader)
        assert sorted(label for batch in batches for label in batch) == list(range(n))
        if used is None:
            assert max(map(len, batches)) <= size
        elif n > 1 and size > 1:
            assert min(map(len, batches)) >= 2 and max(map(len, batches)) <= size + 1


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("workers", [0, 2])
def test_fetching_leaves_the_random_states_alone(
    image_folder: Path, workers: int, seed: int | None
) -> None:
    """Else the network's dropout would depend on how often pictures were looked at."""
    pictures = make_pictures(image_folder, decode=not workers, workers=workers)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fetch(pictures, seed=seed)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_fetching_does_not_seed_the_accelerator(
    image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch.manual_seed seeds every CUDA device too: dropout there would repeat itself."""
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    fetch(make_pictures(image_folder), seed=7)
    assert not seeded


sides = st.integers(1, 500)
shares = st.floats(0.01, 1)


@given(sides, sides, shares, shares, st.integers(0, 2**31))
def test_crop_keeps_the_asked_share_of_each_axis(
    height: int, width: int, min_time: float, min_frequency: float, seed: int
) -> None:
    crop = SpectrogramCrop(SPEC, min_time=min_time, min_frequency=min_frequency)
    torch.manual_seed(seed)
    window = crop.make_params([torch.empty((3, height, width), dtype=torch.uint8)])
    assert min_frequency * height <= window["height"] <= height
    assert min_time * width <= window["width"] <= width
    assert 0 <= window["top"] <= height - window["height"]
    assert 0 <= window["left"] <= width - window["width"]


def test_crop_reaches_both_ends_and_all_shares() -> None:
    """Over many draws: the shortest and the longest excerpt, the beginning and the end."""
    crop = SpectrogramCrop(SPEC, min_time=0.5, min_frequency=0.9)
    torch.manual_seed(0)
    picture = torch.empty((3, 100, 400), dtype=torch.uint8)
    windows = [crop.make_params([picture]) for _ in range(2000)]
    assert min(w["width"] for w in windows) < 205 and max(w["width"] for w in windows) > 395
    assert min(w["height"] for w in windows) <= 91 and max(w["height"] for w in windows) == 100
    assert min(w["left"] for w in windows) == 0
    assert max(w["left"] + w["width"] for w in windows) == 400
    assert np.mean([w["width"] for w in windows]) == pytest.approx(300, abs=10)


def test_crop_of_everything_is_the_whole_picture() -> None:
    crop = SpectrogramCrop(SPEC, min_time=1, min_frequency=1)
    picture = torch.randint(0, 256, (3, 24, 32), dtype=torch.uint8)
    assert torch.equal(crop(picture), whole(picture, SPEC))


def test_crop_is_never_mirrored() -> None:
    """A flipped spectrogram is music played backwards, or with its basses on top."""
    y, x = torch.meshgrid(torch.arange(24), torch.arange(32), indexing="ij")
    picture = torch.stack([x * 8, y * 8, x + y]).to(torch.uint8)
    crop = SpectrogramCrop(SPEC, min_time=0.5, min_frequency=0.9)
    torch.manual_seed(0)
    for _ in range(50):
        image = crop(picture).int()
        assert (image[0].diff(dim=1) >= 0).all() and (image[1].diff(dim=0) >= 0).all()


def test_grey_palette_rgb_and_rgba_agree(tmp_path: Path) -> None:
    grey = Image.fromarray(np.random.default_rng(8).integers(0, 256, (24, 32), dtype=np.uint8))
    modes = ("L", "P", "RGB", "RGBA")
    for mode in modes:
        grey.convert(mode).save(tmp_path / f"{mode}.png")
    pictures = make_pictures(tmp_path)
    images, _ = next(iter(pictures.batches(np.arange(4), batch_size=4)))
    assert images.float().std() > 10
    for image in images[1:]:
        assert torch.equal(image, images[0])
