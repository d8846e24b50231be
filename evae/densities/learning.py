"""Densities that are networks: how they are learned."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from evae.densities.base import Density
from evae.errors import NotFitted
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

LARGEST_GRADIENT = 10.0
"""Gradients are scaled down to this norm: else a step on a few codes far out would undo many."""


@dataclass(frozen=True, kw_only=True)
class LearnedDensity(Density):
    """Fitted in `steps` steps of Adam, each on `batch_size` codes, with a learning rate that falls to 0 along half a
    cosine."""

    steps: int
    batch_size: int
    learning_rate: float

    def __post_init__(self) -> None:
        self._require("steps", 1)
        self._require("batch_size", 1)
        self._require("learning_rate", 1e-9)

    def _learn(
        self,
        parameters: Sequence[Tensor],
        loss: Callable[[Tensor], Tensor],
        codes: Tensor,
        generator: torch.Generator,
    ) -> None:
        """Make the loss of batches of codes small, and freeze the parameters. Raises NotFitted where it is not
        finite."""
        optimiser = torch.optim.Adam(parameters, self.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        with torch.enable_grad():
            for step in range(self.steps):
                value = loss(codes[torch.randint(len(codes), (self.batch_size,), generator=generator)])
                if not torch.isfinite(value):
                    raise NotFitted(
                        f"the loss of the {self.family} density became {float(value.detach())} in step {step + 1}: "
                        "give a smaller learning rate"
                    )
                optimiser.zero_grad(set_to_none=True)
                value.backward()
                torch.nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
                optimiser.step()
                schedule.step()
        for parameter in parameters:
            parameter.requires_grad_(False)


@contextlib.contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Inside, torch's own random numbers, of which initialisers draw, are those of a seed that the generator gives; on
    the CPU alone, and afterwards they are as before."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
