"""The home folder that a ~ means; and one, and a user's name, where the machine knows none, as in containers that run
as any user.

Ray, torch and others ask for both, and end in a stack trace where there is no answer, if only to name a folder that
they never use.
"""

import getpass
import os

from evae.errors import UserError

NOWHERE = "/nonexistent"
"""The home of users who have none, as Debian calls it: nothing is found there, and nothing can be kept."""


def settle() -> None:
    """Set HOME and LOGNAME for this process, and those that it starts, where nothing else says what they are."""
    if not os.environ.get("HOME"):
        os.environ.pop("HOME", None)  # an empty one would be the root of the file system
    if os.path.expanduser("~") == "~":
        os.environ["HOME"] = NOWHERE
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        os.environ["LOGNAME"] = f"uid-{os.getuid()}"


def expanded(path: str | os.PathLike[str]) -> str:
    """The path with the home folder in the place of its ~. Raises UserError for a user who has none: a folder that is
    called ~ is what nobody means."""
    given, found = os.fspath(path), os.path.expanduser(path)
    if given.startswith("~") and found.startswith(("~", NOWHERE)):
        raise UserError(
            f"no home folder is known for {given!r}: set HOME, give the whole path, or write ./{given} for a folder of "
            "that name."
        )
    return found
