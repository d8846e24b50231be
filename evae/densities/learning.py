"""Densities that are networks: how they are learned."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

from evae.densities.base import Density
from evae.errors import NotFitted
from evae.global_seed import global_seed
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

HELD_OUT, EVERY = 10, 20
"""One code of so many is held out, and the loss of these looked at after so many steps each time."""
LARGEST_GRADIENT = 10.0
"""Gradients are scaled down to this norm: else a step on a few codes far out would undo many."""


@dataclass(frozen=True, kw_only=True)
class LearnedDensity(Density):
    """Fitted in `steps` steps of Adam, each on `batch_size` codes, with a learning rate that falls to 0 along half a
    cosine. A tenth of the codes are held out, and the state kept that explains these best.
    """

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
        first = max(1, len(codes) // HELD_OUT)
        held, known = codes[torch.randperm(len(codes), generator=generator)].tensor_split([first])
        optimiser = torch.optim.Adam(parameters, self.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        least, best = math.inf, None
        for step in range(1, self.steps + 1):
            batch = known[torch.randint(len(known), (self.batch_size,), generator=generator)]
            with torch.enable_grad():
                self._check(value := loss(batch), step)
                optimiser.zero_grad(set_to_none=True)
                value.backward()
            torch.nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
            optimiser.step()
            schedule.step()
            if step % EVERY == 0 or step == self.steps:
                with torch.no_grad():
                    self._check(value := loss(held), step)
                if float(value) < least:
                    least, best = float(value), [parameter.detach().clone() for parameter in parameters]
        for parameter, value in zip(parameters, best, strict=True):
            parameter.requires_grad_(False).copy_(value)

    def _check(self, loss: Tensor, step: int) -> None:
        if not torch.isfinite(loss):
            raise NotFitted(
                f"the loss of the {self.family} density became {float(loss.detach())} in step {step}: give a smaller "
                "learning rate"
            )


@contextlib.contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Inside, torch's own random numbers, of which initialisers draw, are those of a seed that the generator gives; on
    the CPU alone, and afterwards they are as before."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    with global_seed(seed):
        yield
