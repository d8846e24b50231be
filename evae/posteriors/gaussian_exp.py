"""The log-normal posterior: codes that are always positive, with a heavy tail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import TYPE_CHECKING, torch
from evae.posteriors.base import Posterior, normal_like, posterior

if TYPE_CHECKING:
    from evae.shapes import Codes, Heads

MOST = 5.3
"""Of ln sigma, either way, softly: as in the official code."""
LIMIT = 30.0
"""Of ln z, either way, hard: beyond it squared errors of images would no longer be numbers."""


@posterior
@dataclass(frozen=True, kw_only=True)
class GaussianExp(Posterior):
    """e^y of a Gaussian y for each latent, as beside the Poisson VAE (Vafaii et al., NeurIPS 2024).

    The rate is the divergence of y from N(0, 1), and so that of the code from e^N(0, 1). The moments are those of the
    code. The encoder yields the mean of y, and x, by which y has the standard deviation exp(5.3 tanh(x / 5.3)).
    """

    family: ClassVar[str] = "gaussian_exp"
    heads: ClassVar[int] = 2
    rate_is: ClassVar = "exact"
    nonnegative: ClassVar[bool] = True

    @property
    def prior_mean(self) -> float:
        return math.exp(0.5)

    @property
    def prior_std(self) -> float:
        return math.sqrt((math.e - 1) * math.e)

    def _gaussian(self, heads: Heads) -> tuple[Codes, Codes]:
        """The mean of y and ln sigma."""
        mu, raw = heads.chunk(2, dim=-1)
        return mu, MOST * torch.tanh(raw / MOST)

    def mean(self, heads: Heads) -> Codes:
        mu, log_sigma = self._gaussian(heads)
        return torch.exp((mu + 0.5 * torch.exp(2 * log_sigma)).clamp(max=LIMIT))

    def representation(self, heads: Heads) -> Codes:
        """The mean of y, as in the paper."""
        return self._gaussian(heads)[0]

    def std(self, heads: Heads) -> Codes:
        variance = torch.exp(2 * self._gaussian(heads)[1])
        return self.mean(heads) * torch.expm1(variance.clamp(max=LIMIT)).sqrt()

    def sample(self, heads: Heads, generator: torch.Generator) -> Codes:
        mu, log_sigma = self._gaussian(heads)
        return torch.exp((mu + torch.exp(log_sigma) * normal_like(mu, generator)).clamp(-LIMIT, LIMIT))

    def rate(self, heads: Heads) -> Codes:
        """(mu^2 + sigma^2 - 1 - ln sigma^2) / 2."""
        mu, log_sigma = self._gaussian(heads)
        return 0.5 * (mu * mu + torch.expm1(2 * log_sigma) - 2 * log_sigma)

    def log_density(self, heads: Heads, codes: Codes) -> Codes:
        mu, log_sigma = self._gaussian(heads)
        y = codes.log()
        return -0.5 * (((y - mu) * torch.exp(-log_sigma)).square() + math.log(2 * math.pi)) - log_sigma - y

    def prior_log_density(self, codes: Codes) -> Codes:
        y = codes.log()
        return -0.5 * (y.square() + math.log(2 * math.pi)) - y

    def sample_prior(
        self, n: int, latent: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Codes:
        return torch.randn(n, latent, generator=generator, device=device).exp()
