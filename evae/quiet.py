"""Warnings that tell a user nothing, kept from the console in however many threads."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_FILTERS = Lock()
_INSIDE: list[warnings.catch_warnings] = []
"""As often as somebody is inside of `ignored`, what brings back what was before the first of them."""


@contextmanager
def ignored(category: type[Warning], message: str = "") -> Iterator[None]:
    """While it lasts, no warning of this `category` whose text begins with `message` (a regular expression) is shown,
    in any thread.

    Threads may be in here at once, and leave in any order: what was before comes back with the last. Python's own
    `warnings.catch_warnings` brings it back with each, so that others are warned again, or nobody ever."""
    with _FILTERS:
        before = _INSIDE[0] if _INSIDE else warnings.catch_warnings()
        if not _INSIDE:
            before.__enter__()
        _INSIDE.append(before)
        warnings.filterwarnings("ignore", message, category)
    try:
        yield
    finally:
        with _FILTERS:
            _INSIDE.pop()
            if not _INSIDE:
                before.__exit__(None, None, None)
