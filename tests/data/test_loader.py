"""data.images.loader and data.transforms: what the network is shown, and that a seed decides it."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data.cache.disk import cached_pictures
from data.images.augment import Augmentation, crop_windows, draws_of
from data.images.loader import Pictures
from data.images.picture_array import PictureArray
from data.images.read import ImageSpec, read_picture
from data.images.transforms import whole

SPEC = ImageSpec(width=20, height=16, canvas=(32, 24), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
Batch = tuple[torch.Tensor, torch.Tensor]


CROP = Augmentation(crop_time=0.5, crop_frequency=0.9)


def make_pictures(
    root: Path, *, spec: ImageSpec = SPEC, cached: bool = True, threads: int = 1
) -> Pictures:
    """The image folder's 18 pictures, each labelled with its own position."""
    paths = np.array(sorted(file.relative_to(root).as_posix() for file in root.rglob("*.png")))
    folder = root.parent / "cache"
    decoded = cached_pictures(root, paths, spec.canvas, folder=folder, limit_gib=1 if cached else 0)
    assert not decoded.reasons
    assert (decoded.pixels is not None) == cached
    return Pictures(decoded, np.arange(len(paths)), spec, CROP, threads)


def fetch(
    pictures: Pictures,
    *,
    batch_size: int = 4,
    seed: int | None = None,
    share: tuple[int, int] = (0, 1),
) -> list[Batch]:
    return list(pictures.batches(np.arange(18), batch_size=batch_size, seed=seed, share=share))


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
    spec = replace(SPEC, width=size[0], height=size[1])
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
def test_threads_and_cache_change_nothing(image_folder: Path, seed: int | None) -> None:
    """From the cache or decoded on the fly, by one thread or by five: bit for bit the same."""
    spec = replace(SPEC, canvas=(24, 18))  # not the pictures' size: both must resize
    expected = fetch(make_pictures(image_folder, spec=spec), seed=seed)
    for cached, threads in ((True, 5), (False, 1), (False, 5)):
        pictures = make_pictures(image_folder, spec=spec, cached=cached, threads=threads)
        assert equal(expected, fetch(pictures, seed=seed))


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("n", [2, 3, 7])
def test_shares_of_several_processes_make_up_the_batches_of_one(
    image_folder: Path, seed: int | None, n: int
) -> None:
    pictures = make_pictures(image_folder)
    shares = [fetch(pictures, seed=seed, share=(i, n)) for i in range(n)]
    joined = [
        tuple(map(torch.cat, zip(*parts, strict=True))) for parts in zip(*shares, strict=True)
    ]
    assert equal(fetch(pictures, seed=seed), joined)


def test_a_picture_is_augmented_alike_in_batches_of_any_size(image_folder: Path) -> None:
    pictures = make_pictures(image_folder)
    small, large = (fetch(pictures, seed=5, batch_size=size) for size in (4, 9))
    for a, b in zip(zip(*small, strict=True), zip(*large, strict=True), strict=True):
        assert torch.equal(torch.cat(a), torch.cat(b))


def test_an_unreadable_picture_is_an_error_where_it_is_asked_for(image_folder: Path) -> None:
    pictures = make_pictures(image_folder, cached=False)
    next(image_folder.glob("jazz/*")).write_bytes(b"text")
    with pytest.raises(ValueError, match=r"jazz.*not a picture"):
        fetch(pictures)


def test_leaving_a_pass_early_ends_its_threads(image_folder: Path) -> None:
    before = threading.active_count()
    batches = iter(make_pictures(image_folder, threads=4).batches(np.arange(18), batch_size=2))
    next(batches)
    assert threading.active_count() > before
    batches.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("seed", [None, 5])
def test_batches_are_filled_in_inference_mode_too_and_can_be_trained_on(
    image_folder: Path, seed: int | None
) -> None:
    """The mode is a thread's own: the threads that fill a batch are not in their caller's."""
    pictures = make_pictures(image_folder, threads=2)
    outside = fetch(pictures, seed=seed)
    with torch.inference_mode():
        assert equal(fetch(pictures, seed=seed), outside)
    weight = torch.ones(1, requires_grad=True)
    (outside[0][0] * weight).sum().backward()
    assert weight.grad is not None and weight.grad > 0


def test_making_batches_leaves_torch_its_threads(image_folder: Path) -> None:
    before = torch.get_num_threads()
    fetch(make_pictures(image_folder, threads=3))
    assert torch.get_num_threads() == before


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
    spec = replace(SPEC, canvas=(1, 1), width=8, height=8)
    paths = np.array(["unread.png"] * n)
    decoded = PictureArray(Path("nowhere"), paths, (1, 1), pixels=np.zeros((n, 1, 1, 3), np.uint8))
    pictures = Pictures(decoded, np.arange(n), spec, threads=1)
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
def test_fetching_leaves_the_random_states_alone(image_folder: Path, seed: int | None) -> None:
    """Else the network's dropout would depend on how often pictures were looked at."""
    pictures = make_pictures(image_folder)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fetch(pictures, seed=seed)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


sides = st.integers(1, 500)
shares = st.floats(0.01, 1)


@given(sides, sides, shares, shares, st.integers(0, 2**31))
def test_crop_keeps_the_asked_share_of_each_axis(
    height: int, width: int, min_time: float, min_frequency: float, seed: int
) -> None:
    draws = draws_of(seed, 0, 20)[:, :4]
    windows = crop_windows(draws, height, width, min_time=min_time, min_frequency=min_frequency)
    for top, left, n_rows, n_columns in windows:
        assert min_frequency * height <= n_rows <= height
        assert min_time * width <= n_columns <= width
        assert 0 <= top <= height - n_rows
        assert 0 <= left <= width - n_columns


def test_crop_reaches_both_ends_and_all_shares() -> None:
    """Over many draws: the shortest and the longest excerpt, the beginning and the end."""
    draws = draws_of(0, 0, 2000)[:, :4]
    _, lefts, heights, widths = crop_windows(draws, 100, 400, min_time=0.5, min_frequency=0.9).T
    assert widths.min() < 205 and widths.max() > 395
    assert heights.min() <= 91 and heights.max() == 100
    assert lefts.min() == 0
    assert (lefts + widths).max() == 400
    assert widths.mean() == pytest.approx(300, abs=10)


@given(st.integers(0, 2**63), st.integers(0, 1000), st.integers(0, 20), st.integers(1, 20))
def test_draws_belong_to_their_places(seed: int, first: int, skipped: int, n: int) -> None:
    draws = draws_of(seed, first, skipped + n)
    assert np.array_equal(draws[skipped:], draws_of(seed, first + skipped, n))
    assert (draws >= 0).all() and (draws < 1).all()
    assert len(np.unique(draws)) == draws.size


def one_picture(pixels: np.ndarray, augmentation: Augmentation) -> Pictures:
    """Pictures of one, uint8 (24, 32, 3), however often it is asked for."""
    decoded = PictureArray(Path("nowhere"), np.array(["x.png"]), (32, 24), pixels=pixels[None])
    return Pictures(decoded, np.zeros(1, np.int64), SPEC, augmentation, threads=1)


def test_crop_of_everything_is_the_whole_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    loader = one_picture(pixels, Augmentation()).batches(np.zeros(5, int), batch_size=5, seed=1)
    for image in next(iter(loader))[0]:
        assert torch.equal(image, whole(tensor(pixels), SPEC))


def test_crop_is_never_mirrored() -> None:
    """A flipped spectrogram is music played backwards, or with its basses on top."""
    y, x = np.meshgrid(np.arange(24), np.arange(32), indexing="ij")
    pixels = np.stack([x * 8, y * 8, x + y], axis=-1).astype(np.uint8)
    loader = one_picture(pixels, CROP).batches(np.zeros(50, int), batch_size=50, seed=0)
    for image in next(iter(loader))[0].int():
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
