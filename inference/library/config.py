"""What python -m inference.library can be asked for."""

from dataclasses import dataclass

from common.cli import OpenUnitInterval, PositiveInt, option

DEFAULT_INDEX = "library.db"


@dataclass(frozen=True)
class LibraryConfig:
    """Library"""

    index: str = option(DEFAULT_INDEX, "SQLite file that the library is kept in")
    model: str | None = option(
        None,
        "model.onnx, or a run's folder or model.pth with one beside it; the default is the last "
        "that was scanned with, and for the first scan runs/latest",
    )


@dataclass(frozen=True)
class ScanConfig:
    """Of scan"""

    clips: PositiveInt | None = option(
        None, "only so many clips, spread over each recording: a quick first look at a library"
    )


@dataclass(frozen=True)
class ListConfig:
    """Of similar, doubtful and odd"""

    n: PositiveInt = option(20, "number of songs to print")


@dataclass(frozen=True)
class PromiseConfig:
    """Of tag and playlists"""

    precision: OpenUnitInterval = option(
        0.95,
        "how often the class is to be right; classes that held-out songs cannot promise "
        "it for are left out",
    )
    together: bool = option(
        False, "promise it for all songs together, with one threshold, and not class by class"
    )
    predictions: str | None = option(
        None, "held-out answers to tell it from; the default is predictions.csv beside the model"
    )


@dataclass(frozen=True)
class PlaylistConfig:
    """Of playlists"""

    relative: bool = option(
        False, "paths from the playlist's folder, so that both can move to another disk"
    )


@dataclass(frozen=True)
class TagConfig:
    """Of tag"""

    write: bool = option(False, "write the tags; without it tag only says what it would do")
    add: bool = option(False, "keep the genres that are there and put the class behind them")


@dataclass(frozen=True)
class UndoConfig:
    """Of undo"""

    all_runs: bool = option(False, "undo what every tag --write did, not only the last one")


@dataclass(frozen=True)
class Request:
    """What is asked: the words behind the verb, and the options."""

    arguments: tuple[str, ...]
    library: LibraryConfig
    scan: ScanConfig
    list: ListConfig
    promise: PromiseConfig
    playlists: PlaylistConfig
    tag: TagConfig
    undo: UndoConfig


# What each verb takes: the words behind it, and its own options.
VERBS: dict[str, tuple[tuple[str, ...], tuple[type, ...]]] = {
    "scan": (("MUSIC",), (ScanConfig,)),
    "similar": (("SONG",), (ListConfig,)),
    "doubtful": ((), (ListConfig,)),
    "odd": (("CLASS, FOLDER or LIST.m3u8",), (ListConfig,)),
    "stats": ((), ()),
    "tag": ((), (PromiseConfig, TagConfig)),
    "undo": ((), (UndoConfig,)),
    "playlists": (("DIR",), (PromiseConfig, PlaylistConfig)),
    "export": (("TABLE.csv or TABLE.parquet",), ()),
    "correct": (("SONG", "CLASS"), ()),
}
CONFIGS = (
    LibraryConfig, ScanConfig, ListConfig, PromiseConfig, PlaylistConfig, TagConfig, UndoConfig,
)  # fmt: skip
