"""What python -m app can be asked for: who is served, and what a visitor may ask for."""

import ipaddress
from dataclasses import dataclass

from common.cli import flag, option


@dataclass(frozen=True)
class ServeConfig:
    """Who is served"""

    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0 is every network")
    port: int = option(7860, "port to listen on")
    auth: str | None = option(
        None, "USER:PASSWORD that visitors must give, or none; needed for other than 127.0.0.1"
    )
    share: bool = option(False, "open a public address through a server of Gradio's makers")
    keep_minutes: float = option(15.0, "minutes after which a file that a visitor sent is deleted")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        if not 1 <= self.port <= 65535:
            raise ValueError(f"--port {self.port}: a number in 1 to 65535")
        if self.keep_minutes <= 0:
            raise ValueError(f"--keep-minutes {self.keep_minutes}: more than 0")
        if self.auth not in (None, "none") and not all((self.auth or "").partition(":")):
            raise ValueError("--auth: expected USER:PASSWORD, or none")
        if self.public and self.auth is None:
            what = "--share" if self.share else f"--host {self.host}"
            raise ValueError(
                f"{what} opens the page to others: add --auth USER:PASSWORD, or --auth none to "
                "let everybody in"
            )

    @property
    def public(self) -> bool:
        """Whether others than this computer can reach the page."""
        try:
            return self.share or not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"


@dataclass(frozen=True)
class Limits:
    """Limits of a request"""

    max_mb: float = option(200.0, "size of the largest file, in MB")
    max_minutes: float = option(90.0, "length of the longest recording, in minutes")
    max_megapixels: float = option(50.0, "size of the largest picture, in millions of pixels")
    max_files: int = option(200, "number of files in one table")
    max_seconds: float = option(120.0, "seconds that a request may take")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        for name in ("max_mb", "max_minutes", "max_megapixels", "max_files", "max_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{flag(name)} {getattr(self, name)}: more than 0")
