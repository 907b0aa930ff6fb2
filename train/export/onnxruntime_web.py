"""onnxruntime-web, which answers in a browser: fetched by npm once, kept in the user's cache."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

from common.files import write_bytes
from data.cache.disk import cache_folder

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
# SHA-512 of the package, as npm's registry has it: what is not this is not used.
INTEGRITY = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
ARCHIVE = f"{PACKAGE}-{VERSION}.tgz"
# The files that the page needs, by the names that it gives them.
FILES = {
    "onnxruntime.mjs": "package/dist/ort.wasm.bundle.min.mjs",
    "onnxruntime.wasm": "package/dist/ort-wasm-simd-threaded.wasm",
}
MOST_SECONDS = 300


def copy_runtime(folder: Path) -> None:
    """Write the runtime's files into the folder; ValueError where it cannot be had."""
    archive = _kept()
    with tarfile.open(archive) as package:
        for name, member in FILES.items():
            content = package.extractfile(member)
            if content is None:
                raise ValueError(f"{archive} has no {member}")
            write_bytes(folder / name, content.read())


def _kept() -> Path:
    """The package in the user's cache, fetched if it is not there."""
    folder = cache_folder(None) / "npm"
    archive = folder / ARCHIVE
    if not archive.is_file():
        _fetch(folder)
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if base64.b64encode(digest).decode() != INTEGRITY:
        raise ValueError(
            f"{archive} is not the {PACKAGE} {VERSION} that this page needs: delete it"
        )
    return archive


def _fetch(folder: Path) -> None:
    npm, spec = shutil.which("npm"), f"{PACKAGE}@{VERSION}"
    elsewhere = f"run `npm pack {spec}` where there is, and put {ARCHIVE} into {folder}"
    if npm is None:
        raise ValueError(f"--page needs {spec}, and there is no npm here to fetch it: {elsewhere}")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", spec, "--fetch-retries=1", "--fetch-timeout=60000", "--silent"]
    try:
        done = subprocess.run(
            [*command, "--pack-destination", str(folder.resolve())],
            capture_output=True, text=True, timeout=MOST_SECONDS, check=False,
        )  # fmt: skip
        failed = done.returncode != 0 or not (folder / ARCHIVE).is_file()
    except subprocess.TimeoutExpired:
        failed = True
    if failed:
        raise ValueError(f"--page needs {spec}, and npm has no network here: {elsewhere}")
