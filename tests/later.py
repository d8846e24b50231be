"""Packages that take seconds to import, of which not every process of the tests needs each."""

from typing import Any

from evae.lazy import Lazy


class Later(Lazy):
    """The module of its name, imported when something of it is first used, and not when pytest asks everything in a
    file of tests for names such as `__test__`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return super().__getattr__(name)
