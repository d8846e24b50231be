"""What a check of a family says where the family breaks its contract."""

from collections.abc import Callable
from typing import Any

Check = Callable[[Any], None]
"""Takes a family with its hyperparameters; raises `Broken`, or whatever the family itself raises."""


class Broken(AssertionError):
    """A method does not do what its family promises; the text names both."""

    def __init__(self, method: str, what: str):
        super().__init__(f"{method}: {what}")
        self.method = method


def expect(holds: object, method: str, what: str) -> None:
    """Raise Broken unless it holds (a bool, or a tensor of one)."""
    if not bool(holds):
        raise Broken(method, what)
