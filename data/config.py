"""Options of the data stage."""

import re
from dataclasses import dataclass
from typing import Literal

from common.cli import flag, option


@dataclass(frozen=True)
class AugmentConfig:
    """Changes to training pictures"""

    crop_time: float = option(0.5, "random-resized-crop keeps at least this part of the time axis")
    crop_frequency: float = option(0.9, "and at least this part of the frequency axis")
    time_roll: float = option(0.0, "time is moved round by at most this part of its axis")
    time_mask: float = option(0.0, "two stripes of at most this part of the time axis are hidden")
    frequency_mask: float = option(0.0, "and two of this part of the frequency axis")
    gain: float = option(0.0, "at most this part of the dB scale is added or taken away")
    contrast: float = option(0.0, "the dB scale grows or shrinks by at most this part of it")
    frequency_warp: float = option(0.0, "the middle frequency moves by at most this part of them")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        for name in ("crop_time", "crop_frequency"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{flag(name)} {getattr(self, name)}: must be in (0, 1]")
        for name, least_wrong in MOST.items():
            if not 0 <= getattr(self, name) < least_wrong:
                wrong = f"{flag(name)} {getattr(self, name)}"
                raise ValueError(f"{wrong}: must be 0 or more, and below {least_wrong}")


# A strength must stay below: a whole axis hidden is no picture, half an axis warped is a fold.
MOST = {"time_roll": 1, "time_mask": 1, "frequency_mask": 1, "gain": 1, "contrast": 1,
        "frequency_warp": 0.5}  # fmt: skip


@dataclass(frozen=True)
class DataConfig(AugmentConfig):
    """Pictures and splits"""

    data: str | None = option(
        None,
        "image folder, <class>/<picture>; default spectrograms/, else subsampled_data/; or a "
        "CSV of features, with --model fcnn, logistic, gradient_boosting, svm or random_forest",
    )
    label: str = option("label", "column of a CSV that is the class")
    split: str | None = option(None, "CSV (path,label,split) to use instead of a new split")
    group: str = option(
        "group", "column of clips.csv that must not be on two sides; none: each picture alone"
    )
    duplicates: Literal["near", "exact", "ignore"] = option(
        "near", "which equal pictures are put into one group; ignored with --group none"
    )
    folds: int = option(5, "number of cross-validation folds, at least 2")
    repeats: int = option(1, "cross-validate so many times, with other folds each time")
    leave_one_group_out: bool = option(False, "a fold for each group that is not tested")
    leak_check: bool = option(
        False, "only say how much of the accuracy a split by picture would owe to leaks"
    )
    test_fraction: float = option(0.2, "part of the groups held out for the one final test")
    image_size: str | None = option(None, "what the network sees: N or WxH; default the backbone's")
    workers: int = option(0, "threads that prepare pictures; 0: one for each core")
    cache: str | None = option(
        None,
        "folder for decoded pictures; default $SPECTROFOLD_CACHE, else the user's cache folder",
    )
    cache_limit: float = option(10.0, "most GiB that it may take; 0 decodes in every epoch")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        super().__post_init__()
        if self.folds < 2:
            raise ValueError(f"--folds {self.folds}: cross-validation needs at least 2")
        if self.repeats < 1:
            raise ValueError(f"--repeats {self.repeats}: must be 1 or more")
        if self.leave_one_group_out and (self.repeats > 1 or self.split):
            raise ValueError("--leave-one-group-out goes with neither --repeats nor --split")
        if self.leak_check and self.group == "none":
            raise ValueError("--leak-check compares with a split by groups: leave out --group none")
        if not 0 < self.test_fraction <= 0.5:
            raise ValueError(f"--test-fraction {self.test_fraction}: must be in (0, 0.5]")
        for name in ("workers", "cache_limit"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{flag(name)} {getattr(self, name)}: must be 0 or more")
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
