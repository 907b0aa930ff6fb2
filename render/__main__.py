"""Spectrogram pictures of a music collection, in one folder per class.

    python -m render AUDIO --out spectrograms

AUDIO holds <class>/<recording>; other sources of labels with --labels.
"""

import sys
from pathlib import Path

from common.cli import Parser, config_from, make_parser, run
from render.audio.clips import ClipSettings
from render.command import Request, RunSettings, check, preview, render
from render.presets import PRESETS, arguments_of
from render.settings import RenderSettings
from render.sources.labels import SourceSettings
from render.sources.selection import ChoiceSettings


def main() -> int:
    """Read the flags and do what they say; returns the exit code."""
    groups = (RunSettings, SourceSettings, ChoiceSettings, ClipSettings, RenderSettings)
    parser = make_parser("python -m render", __doc__ or "", *groups)
    parser.add_argument("audio", nargs="?", default="", help="folder of recordings")
    parser.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        help="options of the pictures that networks of this kind were trained on; any option given "
        "beside it takes precedence",
    )
    flags = parser.parse_args(with_preset(parser, sys.argv[1:]))
    request = Request(
        config_from(flags, RunSettings),
        config_from(flags, SourceSettings),
        config_from(flags, ChoiceSettings),
        config_from(flags, ClipSettings),
        config_from(flags, RenderSettings),
    )
    if request.run.check:
        return check(Path(request.run.check))
    if request.run.preview:
        return preview(Path(request.run.preview), request)
    if not flags.audio:
        parser.error("AUDIO is missing: the folder of recordings")
    return render(Path(flags.audio), request)


def with_preset(parser: Parser, arguments: list[str]) -> list[str]:
    """The arguments, with the options of a preset before all others, so that those given win."""
    preset = parser.parse_args(arguments).preset
    return [*arguments_of(preset), *arguments] if preset else arguments


if __name__ == "__main__":
    run(main)
