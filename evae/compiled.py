"""Networks compiled by torch for as long as they are trained."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class Compiled:
    """The forward passes of these networks, compiled when one is first called (`torch.compile`), for each size of batch
    anew. What is not trained is computed as ever: measured numbers hang on the weights alone."""

    def __init__(self, networks: Iterable[nn.Module]):
        self.passes: dict[nn.Module, Callable[..., Any]] = {
            network: torch.compile(network.forward, dynamic=False) for network in networks
        }

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Within, calls of the networks go the compiled way, hooks as always."""
        for network, compiled in self.passes.items():
            network.forward = compiled
        try:
            yield
        finally:
            for network in self.passes:
                del network.forward
