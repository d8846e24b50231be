"""Posteriors whose draws have no gradient, and that train on soft stand-ins for them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING
from evae.posteriors.base import Posterior

if TYPE_CHECKING:
    from evae.lazy import torch
    from evae.shapes import Codes, Dial, Heads


@dataclass(frozen=True, kw_only=True)
class Relaxed(Posterior):
    """The codes are counts, or the like. A step of training draws stand-ins at a temperature, the nearer to codes the
    lower it is, which falls in a straight line from `first_temperature` to `temperature` over the first `annealing` of
    the training's steps. What is measured are codes, always.
    """

    discrete: ClassVar[bool] = True
    nonnegative: ClassVar[bool] = True

    temperature: float = 0.05
    first_temperature: float = 1.0
    annealing: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("temperature", "first_temperature"):
            if not 0.01 <= getattr(self, name) <= 2:
                raise UserError(
                    f"{name} of the {self.family} posterior must be from 0.01 to 2, not {getattr(self, name)!r}: "
                    "training needs one, since codes themselves (temperature 0) have no gradient. Measured are codes "
                    "anyway."
                )
        if not 0 <= self.annealing <= 1:
            raise UserError(f"annealing must be a share of the training, from 0 to 1, not {self.annealing!r}.")

    @abstractmethod
    def relaxed(self, heads: Heads, temperature: Dial, generator: torch.Generator) -> Codes:
        """Stand-ins for draws; gradients reach `heads`."""

    def training_sample(self, heads: Heads, generator: torch.Generator, progress: Dial) -> Codes:
        if self.trains_on_expectation:
            return self.mean(heads)
        return self.relaxed(heads, self.temperature_at(progress), generator)

    def temperature_at(self, progress: Dial) -> Dial:
        """The temperature after that share of the training."""
        if not self.annealing:
            return self.temperature
        done = progress / self.annealing
        # Of a step that is captured the progress is a tensor: it is not known yet.
        done = min(1.0, done) if isinstance(done, float) else done.clamp(max=1.0)
        return (1 - done) * self.first_temperature + done * self.temperature

    def scheduled(self, progress: float) -> dict[str, float]:
        return {} if self.trains_on_expectation else {"temperature": self.temperature_at(progress)}
