"""The Gaussian posterior: the VAE, and with another beta the beta-VAE."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import TYPE_CHECKING, torch
from evae.posteriors.base import Posterior, normal_like, posterior

if TYPE_CHECKING:
    from evae.shapes import Codes, Heads


@posterior
@dataclass(frozen=True, kw_only=True)
class Gaussian(Posterior):
    """N(mu, sigma^2) for each latent against a standard normal prior (Kingma & Welling, arXiv 1312.6114).

    The encoder yields mu and ln sigma^2. beta = 1 is the VAE, anything else the beta-VAE (Higgins et al.,
    2017).
    """

    family: ClassVar[str] = "gaussian"
    heads: ClassVar[int] = 2
    rate_is: ClassVar = "exact"
    has_normal_prior: ClassVar[bool] = True

    @property
    def prior_std(self) -> float:
        return 1.0

    def mean(self, heads: Heads) -> Codes:
        return heads.chunk(2, dim=-1)[0]

    def std(self, heads: Heads) -> Codes:
        return torch.exp(0.5 * heads.chunk(2, dim=-1)[1])

    def sample(self, heads: Heads, generator: torch.Generator) -> Codes:
        mu = self.mean(heads)
        return mu + self.std(heads) * normal_like(mu, generator)

    def rate(self, heads: Heads) -> Codes:
        """KL(N(mu, sigma^2) || N(0, 1)) (Kingma & Welling, appendix B)."""
        mu, log_variance = heads.chunk(2, dim=-1)
        # expm1 keeps the digits of a rate close to zero, where e^v - 1 - v cancels.
        return 0.5 * (mu * mu + torch.expm1(log_variance) - log_variance)

    def log_density(self, heads: Heads, codes: Codes) -> Codes:
        mu, log_variance = heads.chunk(2, dim=-1)
        return -0.5 * ((codes - mu).square() * torch.exp(-log_variance) + log_variance + math.log(2 * math.pi))

    def prior_log_density(self, codes: Codes) -> Codes:
        return -0.5 * (codes.square() + math.log(2 * math.pi))

    def sample_prior(
        self, n: int, latent: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Codes:
        return torch.randn(n, latent, generator=generator, device=device)
