"""What a visitor of the page may ask for."""

from dataclasses import dataclass

from common.cli import flag, option


@dataclass(frozen=True)
class Limits:
    """Limits of a request"""

    max_mb: float = option(200.0, "largest file, in MB")
    max_minutes: float = option(90.0, "longest recording")
    max_megapixels: float = option(50.0, "largest picture")
    max_files: int = option(200, "files in one table")
    max_seconds: float = option(120.0, "longest that a request may work")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        for name in ("max_mb", "max_minutes", "max_megapixels", "max_files", "max_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{flag(name)} {getattr(self, name)}: more than 0")
