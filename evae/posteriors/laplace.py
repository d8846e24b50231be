"""The Laplace posterior: sparse codes, by a prior with heavy tails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import TYPE_CHECKING, torch
from evae.posteriors.base import Posterior, posterior

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Codes, Heads

MOST = 5.3
"""Of the logarithm of a scale, either way."""


@posterior
@dataclass(frozen=True, kw_only=True)
class Laplace(Posterior):
    """Laplace(mu, b) for each latent against the prior Laplace(0, 1), as beside the Poisson VAE (Vafaii et al., NeurIPS
    2024). The encoder yields mu and what ln b is 5.3 tanh(x / 5.3) of.
    """

    family: ClassVar[str] = "laplace"
    heads: ClassVar[int] = 2
    rate_is: ClassVar = "exact"

    @property
    def prior_std(self) -> float:
        return math.sqrt(2)

    def mean(self, heads: Heads) -> Codes:
        return heads.chunk(2, dim=-1)[0]

    def _log_scale(self, heads: Heads) -> Codes:
        return MOST * torch.tanh(heads.chunk(2, dim=-1)[1] / MOST)

    def std(self, heads: Heads) -> Codes:
        return math.sqrt(2) * torch.exp(self._log_scale(heads))

    def sample(self, heads: Heads, generator: torch.Generator) -> Codes:
        mu = self.mean(heads)
        return mu + torch.exp(self._log_scale(heads)) * laplace_like(mu, generator)

    def rate(self, heads: Heads) -> Codes:
        """|mu| + b exp(-|mu| / b) - 1 - ln b."""
        away, log_scale = self.mean(heads).abs(), self._log_scale(heads)
        # In two parts that are 0 at mu = 0 and at b = 1, of which expm1 keeps the digits.
        shift = away + torch.exp(log_scale) * torch.expm1(-away * torch.exp(-log_scale))
        return shift + torch.expm1(log_scale) - log_scale

    def log_density(self, heads: Heads, codes: Codes) -> Codes:
        log_scale = self._log_scale(heads)
        return -(codes - self.mean(heads)).abs() * torch.exp(-log_scale) - log_scale - math.log(2)

    def prior_log_density(self, codes: Codes) -> Codes:
        return -codes.abs() - math.log(2)

    def sample_prior(
        self, n: int, latent: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Codes:
        return laplace_like(torch.empty(n, latent, device=device), generator)


def laplace_like(like: Float[Tensor, "*shape"], generator: torch.Generator) -> Float[Tensor, "*shape"]:
    """Draws from Laplace(0, 1) of its shape, device and dtype: the difference of two exponential variables."""
    first, second = (torch.empty_like(like).exponential_(generator=generator) for _ in range(2))
    return first - second
