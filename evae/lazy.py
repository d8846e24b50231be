"""Modules that take long to import, imported when something of them is first used.

    from evae.lazy import TYPE_CHECKING, F, torch

A family's fields are numbers and names, and only its methods compute. With these in place of torch's own names, a
recipe is made, and what is wrong with it said, in a fraction of a second. Annotations must then stay unevaluated
(`from __future__ import annotations`), and a class derived from one of torch's goes into a module that a family
imports where it builds one.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

TYPE_CHECKING = False
"""Whether what only annotations name is imported: for type checkers, which know this name, and in the tests, where the
shapes in annotations are checked."""


class Lazy(ModuleType):
    """Stands for the module of its name."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)  # from now on it is found as fast as in the module itself
        return value


if TYPE_CHECKING:
    import optuna
    import torch
    import torch.nn.functional as F
    from torch import nn
else:
    optuna = Lazy("optuna")
    torch = Lazy("torch")
    F = Lazy("torch.nn.functional")
    nn = Lazy("torch.nn")

__all__ = ["TYPE_CHECKING", "F", "nn", "optuna", "torch"]
