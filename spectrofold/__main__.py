"""The command `spectrofold`: every command of the project as a subcommand.

spectrofold train MUSIC        spectrofold predict model.pth song.mp3        spectrofold --help
"""

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version

# subcommand: (module whose `main` it runs, what it does)
COMMANDS = {
    "train": ("main", "train a classifier on pictures, songs or a table"),
    "predict": ("predict", "classify songs and pictures with a model file"),
    "render": ("render.__main__", "draw recordings as spectrogram pictures"),
    "app": ("app.__main__", "serve a model as a web page"),
    "audit": ("data.audit.__main__", "find duplicates, shortcuts and doubtful labels in a folder"),
    "preview": ("data.preview", "draw what augmentation does to pictures"),
    "subsample": ("data.subsample", "copy a few pictures of each class"),
    "evaluate": ("train.evaluate.__main__", "test a model on another labelled folder"),
    "compare": ("train.compare.__main__", "compare finished runs"),
    "tune": ("train.tune.__main__", "search for better options"),
    "export": ("train.export.__main__", "write a model in other forms"),
    "library": ("inference.library.__main__", "ask, list and tag a library of music"),
    "explain": ("inference.explain.__main__", "show what an answer hangs on"),
}


def main() -> None:
    """Run the subcommand that is named; usage errors exit with code 2."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name == "--version":
        print(f"spectrofold {_version()}")
        return
    if name not in COMMANDS:
        width = max(map(len, COMMANDS))
        listing = "\n".join(f"  {key:{width}}  {what}" for key, (_, what) in COMMANDS.items())
        usage = f"usage: spectrofold COMMAND ...\n\n{listing}\n\nspectrofold COMMAND --help"
        if name in ("--help", "-h"):
            print(usage)
            return
        import difflib

        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else f": one of {', '.join(COMMANDS)}"
        print(f"spectrofold: no command {name!r}{hint}", file=sys.stderr)
        sys.exit(2)
    sys.argv = [f"spectrofold {name}", *sys.argv[2:]]
    from common.cli import run

    # In a wheel the rooms are inside this package, in a clone they stand beside it.
    inside = run.__module__.removesuffix("common.cli")
    run(importlib.import_module(inside + COMMANDS[name][0]).main)


def _version() -> str:
    try:
        return version("spectrofold")
    except PackageNotFoundError:
        return "(a clone, not installed)"


if __name__ == "__main__":
    main()
