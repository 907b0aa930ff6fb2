"""What predict.py can be asked for."""

from dataclasses import dataclass

from common.cli import option
from common.validation import flag


@dataclass(frozen=True)
class PredictConfig:
    """Prediction"""

    top: int = option(1, "number of classes to print for each file, the likeliest first")
    timeline: bool = option(False, "also print a line (in JSON and CSV an entry) for each clip")
    hop: float | None = option(
        None,
        "seconds from clip to clip; default half a clip, and a whole clip in recordings of more "
        "than a minute",
    )
    clips: int | None = option(
        None, "only so many clips, spread over each recording: a quick first look at a library"
    )
    plot: str | None = option(
        None, "draw the spectrogram of one recording and its classes over time into this file"
    )
    json: bool = option(False, "print one JSON list, at the end, instead of lines")
    jsonl: bool = option(False, "print one JSON object per line, each as soon as it is known")
    csv: str | None = option(
        None,
        "also write a table to this file: path, class and the probability of every class. It grows "
        "as answers are found, and the same command goes on where it was interrupted",
    )
    sort: str | None = option(None, "write one M3U playlist per class into this folder")
    tag: bool = option(False, "write the class into the recordings' tags, as their genre")
    dry_run: bool = option(False, "with --tag: only print what would be written")
    min_probability: float = option(
        0.5, "with --tag: files whose class is less probable than this are not tagged"
    )
    cluster: str | None = option(
        None,
        "address of a Dask scheduler whose workers find the answers, as tcp://10.0.0.1:8786; they "
        "come in any order",
    )
    batch_size: int | None = option(
        None, "clips that the network is given at a time; default 4, on a GPU 64"
    )

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        for name in ("top", "batch_size", "clips"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{flag(name)} {value}: at least 1")
        if self.hop is not None and not 0.05 <= self.hop <= 3600:
            raise ValueError(f"--hop {self.hop}: seconds in 0.05 to 3600")
        if self.hop is not None and self.clips is not None:
            raise ValueError("--hop and --clips both: give one of them")
        if not 0 <= self.min_probability <= 1:
            raise ValueError(f"--min-probability {self.min_probability}: must be in [0, 1]")
        if self.cluster and self.plot:
            raise ValueError("--cluster and --plot both: one recording is drawn on this machine")
        if self.dry_run and not self.tag:
            raise ValueError("--dry-run prints what --tag would write: give --tag as well")
        if self.json and self.jsonl:
            raise ValueError("--json and --jsonl both: give one of them")
