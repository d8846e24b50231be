"""What the analysis writes: each file whole, or what was there before."""

import errno
import os
import shutil
import uuid
from pathlib import Path

from evae.errors import UserError
from evae.home import expanded


def write(path: str | os.PathLike[str], content: str | bytes, remedy: str) -> Path:
    """Put a file there (`~` is the home folder), and return its place.

    It is written beside and renamed, so that a full disk or an interruption leaves the earlier one. Folders that are
    missing are made, a link goes on pointing where it does, and a file's permissions stay. What is no regular file (a
    pipe, /dev/stdout) is written to directly. Letters that UTF-8 cannot hold, such as those of a path whose bytes are
    no text, become escapes. Raises UserError with the remedy where the file cannot be written.
    """
    path = Path(expanded(path))
    data = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise UserError(f"cannot write {shown(path)}: {error.strerror or error}. {remedy}") from None
    return path


def _replace(target: Path, data: bytes) -> None:
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected")
    target.parent.mkdir(parents=True, exist_ok=True)
    # A short name, since the file's own may be as long as names can be.
    beside = target.parent / f".{uuid.uuid4().hex}.part"
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, beside)
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def shown(path: str | os.PathLike[str]) -> str:
    """A path as it can be printed: bytes that are no text as escapes."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode()
