"""Names of files as text for messages and notes: a name is bytes, and may hold anything but "/" and zero."""

import os
from collections.abc import Sequence

NAMES_LISTED = 3


def shown(name: str | os.PathLike[str]) -> str:
    """The name as text that any console, JSON, Parquet or page can take, on one line.

    Bytes that are not UTF-8 (which Python hands over as surrogates) and characters without a glyph, such as
    line ends, become escapes: the Latin-1 name of "café" is shown as "caf\\xe9".
    """
    text = os.fspath(name)
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # PEP 383: the byte 0xNN as U+DCNN
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - NAMES_LISTED
    return ", ".join(map(shown, names[:NAMES_LISTED])) + (f" and {more:,} more" if more > 0 else "")
