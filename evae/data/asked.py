"""What is said of a data source behind its path: "FILE,images=x,layout=nchw"."""

from collections.abc import Collection

from evae.data.names import shown
from evae.errors import UserError


def asked(path: str, keys: Collection[str]) -> tuple[str, dict[str, str]]:
    """The path itself, which may hold commas, and the values of `keys` that follow it, in any order. Raises UserError
    for a key without a value, or with two."""
    found: dict[str, str] = {}
    parts = path.split(",")
    while len(parts) > 1 and (key := parts[-1].partition("=")[0]) in keys and "=" in parts[-1]:
        value = parts.pop().partition("=")[2]
        if not value or key in found:
            raise UserError(f"{shown(path)} says {key} {'without a value' if not value else 'twice'}: give {key}=NAME")
        found[key] = value
    return ",".join(parts), found
