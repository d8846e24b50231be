"""Torch's own random numbers, of which initialisers draw, for one thread of a process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from evae.lazy import torch

_ONE_AT_A_TIME = RLock()
"""Trials that are trained in threads of one process share torch's global generator."""


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Inside, torch's own random numbers on the CPU are those of the seed, and afterwards they are as before. Networks
    are built in here, also those whose first weights nobody will see: they would take numbers away from another thread
    that is in here."""
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
