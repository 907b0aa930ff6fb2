"""A library of music: asked, listed and tagged by what a model hears.

python -m inference.library scan MUSIC --model runs/latest    hear what is new; goes on if stopped
python -m inference.library similar SONG                      nearest songs; song.mp3@1:20 a moment
python -m inference.library doubtful                          what to check first
python -m inference.library odd CLASS|FOLDER|LIST.m3u8        what does not belong there
python -m inference.library stats                             classes, years, how like the training
python -m inference.library tag --precision 0.95 [--write]    genres where they are right so often
python -m inference.library undo                              the files as they were before
python -m inference.library playlists DIR [--relative]        an M3U8 playlist of each class
python -m inference.library export TABLE.csv|TABLE.parquet    all that is known, as a table
python -m inference.library correct SONG CLASS                what it really is, for retraining
"""

import sqlite3
from dataclasses import fields

from common.cli import config_from, make_parser, run
from common.validation import flag
from inference.library.config import (
    CONFIGS,
    VERBS,
    LibraryConfig,
    ListConfig,
    PlaylistConfig,
    PromiseConfig,
    Request,
    ScanConfig,
    TagConfig,
    UndoConfig,
)


def main() -> int:
    """Parse and do what is asked; the exit code says whether some files were left out."""
    parser = make_parser("python -m inference.library", (__doc__ or "").strip(), *CONFIGS)
    parser.add_argument("verb", metavar="VERB", choices=VERBS, help=", ".join(VERBS))
    parser.add_argument("arguments", metavar="ARGUMENT", nargs="*", help="what VERB is about")
    args = parser.parse_args()
    words, takes = VERBS[args.verb]
    if len(args.arguments) != len(words):
        expected = " and ".join(words) or "nothing"
        given = len(args.arguments)
        parser.error(f"{args.verb}: {expected} expected behind it, {given} words are given")
    defaults = parser.get_defaults()
    for field in (f for config in CONFIGS[1:] if config not in takes for f in fields(config)):
        if args[field.name] != defaults[field.name]:
            parser.error(f"{flag(field.name)} is no option of {args.verb}")
    request = Request(
        tuple(args.arguments),
        config_from(args, LibraryConfig),
        config_from(args, ScanConfig),
        config_from(args, ListConfig),
        config_from(args, PromiseConfig),
        config_from(args, PlaylistConfig),
        config_from(args, TagConfig),
        config_from(args, UndoConfig),
    )
    from inference.library.command import COMMANDS  # numpy takes a tenth of a second to import

    try:
        return COMMANDS[args.verb](request)
    except sqlite3.Error as error:  # a full disk, a damaged file
        raise OSError(f"{request.library.index}: {error}") from None


if __name__ == "__main__":
    run(main)
