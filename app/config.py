"""What python -m app can be asked for: who is served, and what a visitor may ask for."""

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from common.cli import option
from common.validation import flag

AUTH_VARIABLE = "SPECTROFOLD_AUTH"


@dataclass(frozen=True)
class ServeConfig:
    """Who is served"""

    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0 is every network")
    port: int = option(7860, "port to listen on")
    auth: str | None = option(
        None,
        "USER:PASSWORD that visitors must give, or none; needed for other than 127.0.0.1. Other "
        f"users of this computer can see it: --auth-file and {AUTH_VARIABLE} hide it",
    )
    auth_file: str | None = option(None, "file whose first line is USER:PASSWORD")
    host_names: str | None = option(
        None,
        "names, separated by commas, under which visitors know the page, where a proxy or a name "
        "server gives it one; addresses and this computer's own name need not be listed",
    )
    share: bool = option(False, "open a public address through a server of Gradio's makers")
    library: str | None = option(
        None,
        "index that python -m inference.library made, to search, hear and correct on the page; "
        "where others than this computer can reach it, only with a password",
    )
    keep_minutes: float = option(15.0, "minutes after which a file that a visitor sent is deleted")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        if not 1 <= self.port <= 65535:
            raise ValueError(f"--port {self.port}: a number in 1 to 65535")
        if self.keep_minutes <= 0:
            raise ValueError(f"--keep-minutes {self.keep_minutes}: more than 0")
        if self.auth and self.auth_file:
            raise ValueError("--auth and --auth-file both: give one of them")
        if self.auth not in (None, "none") and not all((self.auth or "").partition(":")):
            raise ValueError("--auth: expected USER:PASSWORD, or none")
        given = self.auth or self.auth_file or os.environ.get(AUTH_VARIABLE)
        if self.library and (self.public or self.host_names) and given in (None, "", "none"):
            raise ValueError(
                "--library lets visitors hear a whole library: give --auth-file FILE, or serve the "
                "page on 127.0.0.1 and without --host-names"
            )
        if self.public and not given:
            what = "--share" if self.share else f"--host {self.host}"
            raise ValueError(
                f"{what} opens the page to others: give --auth-file FILE, or add --auth "
                "USER:PASSWORD, or --auth none to let everybody in"
            )

    def user_and_password(self) -> tuple[str, str] | None:
        """What visitors must give, or None; ValueError when the file or the variable is wrong."""
        if self.auth == "none":
            return None
        said, where = self.auth or os.environ.get(AUTH_VARIABLE), AUTH_VARIABLE
        if self.auth_file:
            lines = Path(self.auth_file).read_text(encoding="utf-8").splitlines()
            said, where = (lines or [""])[0], self.auth_file
        if not said:
            return None
        user, _, password = said.partition(":")
        if not user or not password:
            raise ValueError(f"{where}: expected USER:PASSWORD")
        return user, password

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
    max_waiting_mb: float = option(
        2000.0, "size of all files together that visitors have sent and that still lie here, in MB"
    )

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{flag(name)} {value}: more than 0")
