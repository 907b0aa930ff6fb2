"""data.images.augment and data.scale: each change is what it is called, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from PIL import Image

from data.config import AugmentConfig, DataConfig
from data.images import augment
from data.images.augment import (
    N_DRAWS,
    Augmentation,
    augmentation_of,
    changed,
    common_colour_scale,
    draws_of,
)
from data.preview import OFF, USUAL, changed_pictures
from tests.helpers import run_module

parts = st.floats(0, 0.99)
sides = st.integers(1, 40)
seeds = st.integers(0, 2**31)


def pictures(n: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    noise = np.random.default_rng(seed).integers(0, 256, (n, 3, height, width), dtype=np.uint8)
    return torch.from_numpy(noise)


def uniform(seed: int, n: int, k: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((n, k))).float()


def tone(height: int, width: int, row: int, n: int = 8) -> torch.Tensor:
    images = torch.zeros((n, 3, height, width), dtype=torch.uint8)
    images[:, :, row] = 200
    return images


def loudest_rows(images: torch.Tensor) -> list[int]:
    return images.float().sum(dim=(1, 3)).argmax(dim=1).tolist()


def test_all_off_is_the_same_tensor() -> None:
    images = pictures(3, 8, 9)
    assert changed(images, draws_of(0, 0, 3), Augmentation()) is images
    assert augmentation_of(OFF, ["magma"]) == Augmentation()


def test_a_change_is_of_the_draws_alone_and_pictures_do_not_matter_to_each_other() -> None:
    how = augmentation_of(USUAL, ["magma"])
    images, draws = pictures(6, 20, 30), draws_of(1, 0, 6)
    together = changed(images.clone(), draws, how)
    assert together.dtype == torch.uint8 and together.shape == images.shape
    assert torch.equal(together, changed(images.clone(), draws, how))
    for i in range(6):
        alone = changed(images[i : i + 1].clone(), draws[i : i + 1], how)
        assert torch.equal(together[i : i + 1], alone)
    last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(together, changed(last, draws, how)), "as the loader lays them out"


@given(sides, sides, parts, seeds)
def test_rolling_keeps_every_column_and_their_order(h: int, w: int, most: float, seed: int) -> None:
    images, draws = pictures(4, h, w, seed), uniform(seed, 4, 1)[:, 0]
    for image, moved in zip(images, augment.rolled(images, draws, most), strict=True):
        shifts = [s for s in range(w) if torch.equal(moved, image.roll(s, dims=2))]
        assert any(min(s, w - s) <= round(most * w) for s in shifts)


@given(sides, sides, parts, seeds, st.sampled_from([2, 3]))
def test_masks_hide_whole_stripes_no_longer_than_asked(
    h: int, w: int, most: float, seed: int, axis: int
) -> None:
    images = pictures(4, h, w, seed)
    hidden = augment.masked(images, uniform(seed, 4, 4), most, axis=axis)
    size = images.shape[axis]
    for image, after in zip(images, hidden, strict=True):
        mean = image.float().mean(dim=(1, 2)).round().to(torch.uint8)[:, None, None]
        other = 1 if axis == 3 else 2  # of (3, H, W)
        is_mean = (after == mean).all(dim=0).all(dim=other - 1)  # (size,)
        untouched = (after == image).all(dim=0).all(dim=other - 1)
        assert (is_mean | untouched).all()
        assert (~untouched).sum() <= 2 * round(most * size + 1e-9) + 1


def test_masks_reach_both_ends_and_their_full_length() -> None:
    images = torch.arange(3 * 10 * 100).reshape(1, 3, 10, 100).remainder(251).to(torch.uint8)
    images = images.expand(3000, -1, -1, -1)
    hidden = augment.masked(images, uniform(0, 3000, 4), 0.3, axis=3)
    touched = (hidden != images).any(dim=1).any(dim=1)  # (3000, 100)
    assert touched[:, 0].any() and touched[:, -1].any()
    assert touched.sum(dim=1).max() > 50 and touched.sum(dim=1).min() < 3
    assert touched.float().mean().item() == pytest.approx(0.28, abs=0.03)  # 2 x 0.15, less overlap


def test_a_tone_stays_in_its_row_but_for_the_warp() -> None:
    images, u = tone(64, 90, 20), uniform(3, 8, N_DRAWS)
    draws = u.numpy()
    for how in (
        Augmentation(time_roll=0.9),
        Augmentation(time_mask=0.3),
        Augmentation(gain=0.2, contrast=0.3),
    ):
        assert loudest_rows(changed(images, draws, how)) == [20] * 8
    warped = loudest_rows(changed(images, draws, Augmentation(frequency_warp=0.2)))
    assert len(set(warped)) > 3


@given(st.integers(2, 80), st.floats(0, 0.49), seeds)
def test_a_warp_moves_the_middle_as_far_as_asked_and_the_ends_not_at_all(
    height: int, most: float, seed: int
) -> None:
    ramp = torch.linspace(0, 255, height)[None, None, :, None].expand(6, 3, -1, 5)
    images, draws = ramp.round().to(torch.uint8), uniform(seed, 6, 1)[:, 0]
    warped = augment.frequency_warped(images, draws, most)
    assert torch.equal(warped[:, :, [0, -1]], images[:, :, [0, -1]])
    assert (warped.int().diff(dim=2) >= 0).all(), "no frequency passes another"
    if height % 2:
        expected = 127.5 + 255 * most * (2 * draws - 1)
        assert (warped[:, 0, height // 2, 0] - expected).abs().max() <= 2 + 255 / height


def test_gain_adds_the_same_to_every_grey_and_stops_at_the_ends() -> None:
    ramp = torch.arange(256, dtype=torch.uint8).repeat(3, 2, 1)[None]
    ones, halves = torch.ones(1), torch.full((1,), 0.5)
    louder = augment.amplified(ramp, ones, halves, 0.1, 0.5, None)
    softer = augment.amplified(ramp, 0 * ones, halves, 0.1, 0.5, None)
    assert (louder.int() - (ramp.int() + 25.5).clamp(max=255)).abs().max() <= 0.5
    assert (softer.int() - (ramp.int() - 25.5).clamp(min=0)).abs().max() <= 0.5
    wider = augment.amplified(ramp, halves, ones, 0.1, 0.5, None)
    assert wider[0, 0, 0, 255] == 255 and wider[0, 0, 0, 155] == 105  # 100 below: 150 below


@pytest.mark.parametrize("name", ["magma", "viridis", "inferno", "jet", "Blues", "hsv"])
def test_gain_of_coloured_pictures_follows_their_colour_map(name: str) -> None:
    """What is 30 steps louder has the colour of 30 steps more, in maps that go no straight way."""
    colours = (255 * colormaps[name](np.arange(256))[:, :3]).round().astype(np.uint8)
    picture = torch.from_numpy(colours.T.copy())[None, :, None]  # (1, 3, 1, 256)
    scale = common_colour_scale([name] * 9 + ["other"])
    assert scale is not None
    ones, halves = torch.ones(1), torch.full((1,), 0.5)
    louder = augment.amplified(picture, ones, halves, 30 / 255, 0.0, scale)[0, :, 0].T.int()
    expected = torch.from_numpy(colours[np.minimum(np.arange(256) + 30, 255)]).int()
    ends = slice(8, 218) if name == "hsv" else slice(0, 256)  # its two ends are one red
    off = (louder - expected).abs()[ends].float()
    assert off.mean() < 6 and (expected - torch.from_numpy(colours).int()).abs().float().mean() > 12


def test_grey_and_mixed_pictures_have_no_scale_of_colours() -> None:
    assert common_colour_scale(["gray"] * 9) is None
    assert common_colour_scale(["other"] * 9) is None
    assert common_colour_scale(["magma", "viridis"] * 9) is None


@pytest.mark.parametrize(
    ("option", "value"),
    [("time_mask", 1.0), ("time_roll", -0.1), ("frequency_warp", 0.5), ("crop_time", 0.0),
     ("gain", float("nan"))],
)  # fmt: skip
def test_a_strength_out_of_range_is_refused_by_name(option: str, value: float) -> None:
    for config in (AugmentConfig, DataConfig):
        with pytest.raises(ValueError, match=f"--{option.replace('_', '-')} {value}: must be"):
            config(**{option: value})


def test_preview_shows_each_change_and_the_mix(image_folder: Path, tmp_path: Path) -> None:
    paths, drawn = changed_pictures(image_folder, 3, AugmentConfig(time_mask=0.2), seed=1)
    assert [path.split("/")[0] for path in paths] == ["blues", "jazz", "rock"]
    asis = drawn["as it is"]
    for i, path in enumerate(paths):
        assert np.array_equal(asis[i], np.asarray(Image.open(image_folder / path)))
    assert "--time-mask 0.2" in drawn and "--gain 0.15 (off)" in drawn
    assert all(
        not np.array_equal(images, asis) for name, images in drawn.items() if name != "as it is"
    )
    assert list(drawn)[-1] == "the mix"


def test_preview_is_drawn_to_a_file(image_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.png"
    command = ["data.preview", str(image_folder), "--out", str(out)]
    done = run_module(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{out}: 8 changes, and the mix in the last row\n"
    with Image.open(out) as picture:
        assert picture.width > 1000
    done = run_module(*command, "--gain", "2")
    assert done.returncode == 2
    assert done.stderr == "error: --gain 2.0: must be a number >= 0 and < 1\n"
