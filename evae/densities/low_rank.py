"""A mixture along a few directions, and one Gaussian across them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.densities.base import Estimate
from evae.densities.components import RIDGE, Components
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Standardised


@dataclass(frozen=True)
class LowRank(Estimate):
    """`directions` (varying, k) are orthonormal; along them codes are as `along` says, and across them Gaussian with
    mean 0 and the variance `across`, independent of the rest."""

    redraws: ClassVar[int] = 0

    directions: Float[Tensor, "varying k"]
    across: Float[Tensor, ""]
    along: Components

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> LowRank:
        along = Components.of(state)
        if state["directions"].shape[1] != along.means.shape[1]:
            raise ValueError
        return cls(state["directions"], state["across"].reshape(()), along)

    def sample(self, n: int, generator: torch.Generator) -> Standardised:
        along = self.along.sample(n, generator)
        noise = torch.randn(n, len(self.directions), generator=generator, dtype=torch.float64) * self.across.sqrt()
        return noise + (along - noise @ self.directions) @ self.directions.T

    def log_density(self, codes: Standardised) -> Float[Tensor, " n"]:
        along = codes @ self.directions
        rest = codes.square().sum(1) - along.square().sum(1)
        left = self.directions.shape[0] - self.directions.shape[1]
        constant = left * (math.log(2 * math.pi) + self.across.log())
        return self.along.log_density(along) - 0.5 * (rest / self.across + constant)

    def state(self) -> dict[str, Tensor]:
        return self.along.state() | {"directions": self.directions, "across": self.across}


def leading(codes: Standardised, count: int) -> tuple[Float[Tensor, "varying k"], Float[Tensor, ""]]:
    """((varying, count) principal directions of codes (n, varying) with mean 0, the mean variance across them)."""
    n, numbers = codes.shape
    if numbers <= n:
        variances, vectors = torch.linalg.eigh(codes.T @ codes / n)
        directions = vectors[:, -count:].flip(1)
    else:
        variances, vectors = torch.linalg.eigh(codes @ codes.T / n)
        directions = torch.linalg.qr(codes.T @ vectors[:, -count:].flip(1)).Q
    rest = variances[:-count].clamp(min=0).sum() / (numbers - count)
    return directions.contiguous(), rest.clamp(min=RIDGE)
