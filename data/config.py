"""Options of the data stage, and whether what they name can be trained on."""

import re
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Literal

from common.cli import (
    AtLeastTwo,
    BelowHalf,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    UnitIntervalWithout0,
    UnitIntervalWithout1,
    UpToHalf,
    option,
)
from common.recordings import PICTURES, SOUNDS
from common.validation import check_fields
from data.examples import Examples

MOST_USED, DATA, SPLIT, AUGMENTATION = "Most used", "Data", "Split", "Augmentation"
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
DEMO = Path(__file__).resolve().parent.parent / "subsampled_data"


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation"""

    crop_time: UnitIntervalWithout0 = option(
        0.5, "random-resized-crop: least fraction of the time axis that is kept", AUGMENTATION
    )
    crop_frequency: UnitIntervalWithout0 = option(
        0.9, "random-resized-crop: least fraction of the frequency axis that is kept", AUGMENTATION
    )
    time_roll: UnitIntervalWithout1 = option(
        0.0, "roll the time axis round by up to this fraction of it", AUGMENTATION
    )
    time_mask: UnitIntervalWithout1 = option(
        0.0, "hide two stripes, each up to this fraction of the time axis", AUGMENTATION
    )
    frequency_mask: UnitIntervalWithout1 = option(
        0.0, "hide two stripes, each up to this fraction of the frequency axis", AUGMENTATION
    )
    gain: UnitIntervalWithout1 = option(
        0.0, "add or subtract up to this fraction of the dB range", AUGMENTATION
    )
    contrast: UnitIntervalWithout1 = option(
        0.0, "stretch or compress the dB range by up to this fraction", AUGMENTATION
    )
    frequency_warp: BelowHalf = option(
        0.0, "move the middle of the frequency axis by up to this fraction of it", AUGMENTATION
    )

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        check_fields(self)


@dataclass(frozen=True)
class DataConfig(AugmentConfig):
    """Pictures and splits"""

    data: str | None = option(
        None,
        "folder of <class>/<recording> or <class>/<picture>, or a CSV table of features; default "
        "spectrograms/ if it exists, else subsampled_data/",
        MOST_USED,
    )
    label: str = option("label", "column of the CSV table that holds the class", DATA)
    header: bool = option(
        True,
        "the first line of the CSV table names its columns; --no-header: they are feature_1, ...",
        DATA,
    )
    split: str | None = option(
        None, "CSV file (path,label,split) with the split to use, instead of a new one", SPLIT
    )
    group: str = option(
        "group",
        "column of clips.csv whose values, such as artists, never straddle a split; none: every "
        "picture is a group of its own",
        SPLIT,
    )
    duplicates: Literal["near", "exact", "ignore"] = option(
        "near", "which duplicate pictures share a group; not with --group none", SPLIT
    )
    crop: bool = option(
        True, "crop margins, axes and colour bars that other programs draw around pictures", DATA
    )
    flip: bool = option(
        False, "turn pictures upside down, for those that have low frequencies on top", DATA
    )
    corrections: str | None = option(
        None,
        "table of corrections, as the page and the library write it beside a model, to train on as "
        "well; what it names is never tested",
        DATA,
    )
    folds: AtLeastTwo = option(5, "number of cross-validation folds", MOST_USED)
    repeats: PositiveInt = option(1, "number of cross-validations, each with other folds", SPLIT)
    leave_one_group_out: bool = option(
        False, "one fold for each group outside the test set, instead of --folds", SPLIT
    )
    leak_check: bool = option(
        False,
        "train nothing: report how many points of accuracy a split by picture would owe to leaks",
        SPLIT,
    )
    test_fraction: UpToHalf = option(
        0.2, "fraction of the groups held out for the one final test", SPLIT
    )
    image_size: str | None = option(
        None, "input size of the network in pixels, N or WxH; default the backbone's own", MOST_USED
    )
    workers: NonNegativeInt = option(
        0, "threads that decode and augment pictures; 0 means one for each core", "Hardware"
    )
    cache: str | None = option(
        None,
        "folder for decoded pictures; default $SPECTROFOLD_CACHE, else the user's cache folder",
        DATA,
    )
    cache_limit: NonNegativeFloat = option(
        10.0, "largest size of that folder in GiB; 0 decodes every picture in every epoch", DATA
    )

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        super().__post_init__()
        if self.leave_one_group_out and (self.repeats > 1 or self.split):
            raise ValueError("--leave-one-group-out goes with neither --repeats nor --split")
        if self.leak_check and self.group == "none":
            raise ValueError("--leak-check compares with a split by groups: leave out --group none")
        if self.corrections and (self.group == "none" or self.duplicates == "ignore"):
            raise ValueError(
                "--corrections would train on songs that are tested under another name with "
                "--group none or --duplicates ignore: leave these out"
            )
        if self.image_size is not None:
            parse_size(self.image_size)


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) in pixels, each at least 8, from "N" or "WxH"; else ValueError."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip().lower())
    if not match or min(width := int(match[1]), height := int(match[2] or match[1])) < 8:
        raise ValueError(
            f"--image-size {text}: expected N or WxH in pixels, at least 8, as 320x160"
        )
    return width, height


def is_table(root: Path) -> bool:
    """Whether root is a table of features and not an image folder."""
    return root.suffix.lower() == ".csv" or root.is_file()


def check_given(config: DataConfig, *, songs: bool = False) -> None:
    """Raise ValueError for a folder, a table or a split that cannot be trained on.

    All of them are read as the training will read them, in a second and without torch, which takes
    several to import. songs: the folder holds recordings, and its pictures are yet to be drawn.
    """
    from data.image_folder import check_image_folder, scan  # they import what options do not need
    from data.tabular.table import read_table

    root = root_of(config.data)
    if root.suffix.lower() in {*PICTURES, *SOUNDS} and root.is_file():
        raise ValueError(
            f"{root} is one file; expected a folder of class folders, or a table of features. To "
            f"ask a model about it: python predict.py {quote(str(root))}"
        )
    if root.suffix.lower() in ARCHIVES and root.is_file():
        raise ValueError(f"{root} is an archive: unpack it, and give the folder that is in it")
    examples: Examples | None = None
    if songs:
        check_image_folder(root)
    elif is_table(root):
        examples = read_table(root, config.label, config.group, has_header=config.header).examples
    else:
        examples = scan(root, config.group, torch=False)
    if config.split:
        from data.split_file import read_rows, read_split  # scikit-learn's folds take a second

        if examples:
            read_split(config.split, examples, by_recording=is_table(root))
        else:
            read_rows(Path(config.split))


def root_of(named: str | None) -> Path:
    """The folder or table that is named, else spectrograms/ here if it exists, else the demo's."""
    if named:
        return Path(named)
    own = Path("spectrograms")
    return own if own.is_dir() else DEMO
