"""Duplicates among the demo's pictures: copies are found however saved, other music is not."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.audit.audit import N_LISTED, audit, lines
from data.audit.duplicates import (
    Duplicate,
    Duplicates,
    duplicate_notes,
    find_duplicates,
    merge_groups,
    trusted_duplicates,
)
from data.audit.report import write_page
from data.config import DataConfig
from data.examples import Examples
from data.image_folder import scan
from data.images.fingerprints import Fingerprints, fingerprint, fingerprints
from data.prepare import Prepared, prepare
from tests.helpers import ROOT, write_stripes

pytestmark = pytest.mark.slow  # whole commands, or as long as these

DEMO = ROOT / "subsampled_data"


def copy_some(folder: Path, n: int = 6) -> list[Path]:
    """Copy the first clips of n recordings of each of two classes of the demo into `folder`."""
    copies = []
    for name in ("ChipTracker", "Orchestral"):
        (folder / name).mkdir(parents=True)
        for file in sorted((DEMO / name).glob("*__000.png"))[:n]:
            copies.append(
                Path(shutil.copy(file, folder / name / f"{file.stem.split('__')[0]}.png"))
            )
    return copies


def duplicates_in(folder: Path) -> list[tuple[str, str, bool]]:
    """(path, path, exact) of each pair that is found."""
    examples = scan(folder)
    pairs = find_duplicates(fingerprints(examples.files())[0], examples.groups)
    return [(examples.paths[a], examples.paths[b], exact) for a, b, _, exact in pairs]


def prepared(examples: Examples, *, split_file: Path | None = None, **options: object) -> Prepared:
    """The examples prepared for a small network, in two folds."""
    split = str(split_file) if split_file else None
    config = DataConfig(folds=2, split=split, **options)  # type: ignore[arg-type]
    return prepare(examples, config, size=(64, 64), mean=(0.5,) * 3, std=(0.5,) * 3, seed=0)


def test_different_music_is_not_duplicate() -> None:
    """144 pictures of 48 recordings, loops of trackers among them."""
    assert duplicates_in(DEMO) == []


@pytest.mark.parametrize("suffix", [".webp", ".bmp", ".png"])
def test_the_same_pixels_are_exact_whatever_the_file_format(tmp_path: Path, suffix: str) -> None:
    original = copy_some(tmp_path)[0]
    twin = tmp_path / "Orchestral" / f"zz{suffix}"
    Image.open(original).convert("RGB").save(twin, lossless=True)
    assert duplicates_in(tmp_path) == [
        (f"ChipTracker/{original.name}", f"Orchestral/zz{suffix}", True)
    ]


@pytest.mark.parametrize("change", ["jpeg", "smaller", "lighter", "shifted", "grey"])
def test_a_changed_copy_is_a_near_duplicate(tmp_path: Path, change: str) -> None:
    original = copy_some(tmp_path)[3]
    image = Image.open(original).convert("RGB")
    if change == "smaller":
        image = image.resize((image.width // 2, image.height // 3))
    elif change == "lighter":
        image = image.point(lambda value: min(255, value + 20))
    elif change == "shifted":
        image = Image.fromarray(np.roll(np.asarray(image), 4, axis=1))
    elif change == "grey":
        image = image.convert("L")
    twin = original.with_name("zz.jpg" if change == "jpeg" else "zz.png")
    image.save(twin, quality=40)
    found = [(f"ChipTracker/{original.name}", f"ChipTracker/{twin.name}", False)]
    assert duplicates_in(tmp_path) == found


def test_blank_pictures_and_clips_of_one_recording_are_not_paired(tmp_path: Path) -> None:
    original = copy_some(tmp_path)[0]
    shutil.copy(original, original.with_name(f"{original.stem}__1.png"))
    for name in ("silent", "quiet"):
        Image.new("RGB", (64, 32), (0, 0, 3)).save(tmp_path / "Orchestral" / f"{name}.png")
    assert duplicates_in(tmp_path) == []
    assert fingerprint(np.full((32, 64, 3), 7, np.uint8))[2]
    assert not fingerprint(np.asarray(Image.open(original).convert("RGB")))[2]


def test_groups_are_joined_along_chains() -> None:
    """a-b and b-d are pairs: a, b and d become one group, c stays alone."""
    groups = np.array(["d", "c", "b", "a", "a"])
    noise = np.random.default_rng(0).integers(0, 256, (5, 16, 64)).astype(float)
    noise[2] = noise[3]
    noise[0] = 0.8 * noise[2] + 0.2 * noise[0]
    digests = np.array([b"%d" % i for i in range(5)])
    prints = Fingerprints(digests, noise.astype(np.uint8), np.zeros(5, dtype=bool))
    pairs = find_duplicates(prints, groups)
    assert [(p.first, p.second) for p in pairs] == [(2, 3), (0, 2), (0, 3)]
    assert merge_groups(groups, pairs).tolist() == ["a", "c", "a", "a", "a"]
    assert merge_groups(groups, []).tolist() == groups.tolist()


def test_a_pair_in_two_classes_is_said_to_be_a_wrong_label(tmp_path: Path) -> None:
    original = copy_some(tmp_path)[0]
    shutil.copy(original, tmp_path / "Orchestral" / "zz.png")
    examples = scan(tmp_path)
    found = trusted_duplicates(fingerprints(examples.files())[0], examples)
    count, wrong = duplicate_notes(found, examples)
    assert count.startswith("1 pair of pictures is the same and 0 nearly so")
    assert f"ChipTracker/{original.name} and Orchestral/zz.png are duplicates in two" in wrong


def test_the_most_alike_of_similar_pictures_are_named(tmp_path: Path) -> None:
    copy_some(tmp_path)
    examples = scan(tmp_path)
    pairs = [Duplicate(0, 1, 0.7, exact=False), Duplicate(1, 2, 0.6, exact=False)]
    [note] = duplicate_notes(Duplicates(pairs, [], 0.55), examples)
    assert note.startswith("2 pairs of pictures are similar (0.55 or more), ")
    assert f"{examples.paths[0]} and {examples.paths[1]}" in note
    assert str(examples.paths[2]) not in note


def test_similar_pictures_that_would_join_a_class_are_shown_and_not_joined(tmp_path: Path) -> None:
    """Fifteen pieces over one loop are no duplicates: said, on the page, and not in one group."""
    rng = np.random.default_rng(0)
    loop = rng.normal(size=(16, 64))
    for i in range(15):
        own = rng.normal(size=(2, 16, 64))
        for label, noise in (("loops", 0.93**0.5 * loop + 0.07**0.5 * own[0]), ("others", own[1])):
            (tmp_path / label).mkdir(exist_ok=True)
            grey = np.clip(128 + 30 * noise, 0, 255).astype(np.uint8)
            Image.fromarray(grey).resize((128, 32), 0).save(tmp_path / label / f"{i:02}.png")
    found = audit(scan(tmp_path))
    assert not found.duplicates.pairs and len(found.duplicates.distrusted) > 80
    assert {pair.tier for pair in found.duplicates.distrusted} == {"similar"}
    assert any("not believed, and not kept together" in note for note in found.findings())
    assert sum(line.startswith("not believed 0.9") for line in lines(found)) == N_LISTED
    write_page(tmp_path / "audit.html", found)
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "not believed to be duplicates" in page and "listen to these" in page


@pytest.fixture
def with_twins(tmp_path: Path) -> Examples:
    """Stripes of 12 recordings a class; every recording of `low` is there a second time."""
    folder = write_stripes(tmp_path / "music", n_recordings=12, n_clips=1)
    for file in sorted((folder / "low").iterdir()):
        shutil.copy(file, folder / "low" / f"twin-{file.name}")
    return scan(folder)


def straddling(ready: Prepared) -> int:
    """Twins that are in another part of the split than their original."""
    part = dict(zip(ready.examples.paths, ready.split.parts[0], strict=True))
    return sum(part[p] != part[p.replace("twin-", "")] for p in part if "twin-" in p)


def test_duplicates_share_a_side_by_default_and_not_when_ignored(with_twins: Examples) -> None:
    ready = prepared(with_twins)
    assert straddling(ready) == 0
    assert "12 pairs of pictures are the same and 0 nearly so, under different names" in ready.notes
    assert "duplicates are kept in one group, on one side of every split" in ready.notes
    assert len(set(ready.examples.groups)) == 36
    for options in ({"duplicates": "ignore"}, {"group": "none"}):
        assert straddling(prepared(with_twins, **options)) > 0


def test_pictures_too_many_to_keep_decoded_are_compared_from_their_files(
    with_twins: Examples,
) -> None:
    ready = prepared(with_twins, cache_limit=0.0)
    assert ready.pictures.decoded.pixels is None
    assert straddling(ready) == 0


def test_a_split_file_that_parts_duplicates_is_obeyed_and_named(
    with_twins: Examples, tmp_path: Path
) -> None:
    parts = np.random.default_rng(0).permutation(np.array(["test", "1", "2"] * 16))
    lines = [f"{path},{part}" for path, part in zip(with_twins.paths, parts, strict=True)]
    file = tmp_path / "split.csv"
    file.write_text("\n".join(["path,split", *lines]))
    ready = prepared(with_twins, split_file=file)
    assert ready.split.parts[0].tolist() == parts.tolist()
    wanted = straddling(ready)
    assert wanted > 0
    pairs = "1 pair" if wanted == 1 else f"{wanted} pairs"
    assert f"{file} parts {pairs} of duplicates: a leak" in ready.notes


def test_other_columns_of_the_clip_table_can_be_the_group() -> None:
    artists, recordings = scan(DEMO, "artist"), scan(DEMO)
    assert len(set(artists.groups)) < len(set(recordings.groups)) == 48
    assert len(set(scan(DEMO, "none").groups)) == 144
    with pytest.raises(ValueError, match=r"--group composer: .*it has path, label, recording"):
        scan(DEMO, "composer")
