"""Whether paths can be what they are given as: said at once, before torch is imported."""

from pathlib import Path

DEMO = Path(__file__).resolve().parent.parent / "subsampled_data"


def is_table(root: Path) -> bool:
    """Whether root is a table of features and not an image folder."""
    return root.suffix.lower() == ".csv" or root.is_file()


def check_given(root: Path, split_file: str | None) -> None:
    """Raise ValueError if there is no such image folder, or no such split file."""
    if not is_table(root):
        check_image_folder(root)
    if split_file:
        check_split_file(Path(split_file))


def check_image_folder(root: Path) -> None:
    """Raise ValueError if there is no such folder, or if it is a Python package."""
    if not root.is_dir():
        raise ValueError(
            f"no image folder at {root}; expected {root}/<class>/<picture>, one folder per class"
        )
    if (root / "__init__.py").exists():
        raise ValueError(
            f"{root} is a Python package, not an image folder; put images in spectrograms/<class>/"
        )


def check_split_file(file: Path) -> None:
    """Raise ValueError if there is no such file."""
    if not file.is_file():
        raise ValueError(
            f"no split file at {file}; expected a CSV with the columns path,label,split"
        )


def root_of(named: str | None) -> Path:
    """The folder or table that is named, else spectrograms/ here if it exists, else the demo's."""
    if named:
        return Path(named)
    own = Path("spectrograms")
    return own if own.is_dir() else DEMO
