"""The rectified Gaussian posterior: codes that are never negative, and often 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import TYPE_CHECKING, F, torch
from evae.posteriors.base import Posterior, normal_like, posterior
from evae.posteriors.gaussian import Gaussian

if TYPE_CHECKING:
    from evae.shapes import Codes, Heads


@posterior
@dataclass(frozen=True, kw_only=True)
class GaussianRelu(Gaussian):
    """max(y, 0) of a Gaussian y for each latent, as beside the Poisson VAE (Vafaii et al., NeurIPS 2024).

    The rate is the divergence of y from N(0, 1): the rectification is part of the decoder, so that the ELBO is one. The
    moments are those of the code. It has a mass at 0 and so no density.
    """

    family: ClassVar[str] = "gaussian_relu"
    nonnegative: ClassVar[bool] = True

    log_density = Posterior.log_density
    prior_log_density = Posterior.prior_log_density

    @property
    def prior_mean(self) -> float:
        return 1 / math.sqrt(2 * math.pi)

    @property
    def prior_std(self) -> float:
        return math.sqrt(0.5 - 0.5 / math.pi)

    def mean(self, heads: Heads) -> Codes:
        return self._moments(heads)[0]

    def std(self, heads: Heads) -> Codes:
        mean, square = self._moments(heads)
        return (square - mean * mean).clamp(min=0).sqrt()

    def _moments(self, heads: Heads) -> tuple[Codes, Codes]:
        """E z and E z^2."""
        mu, sigma = super().mean(heads), super().std(heads)
        above = torch.special.ndtr(mu / sigma)
        edge = torch.exp(-0.5 * (mu / sigma).square()) / math.sqrt(2 * math.pi)
        return mu * above + sigma * edge, (mu * mu + sigma * sigma) * above + mu * sigma * edge

    def sample(self, heads: Heads, generator: torch.Generator) -> Codes:
        mu, sigma = super().mean(heads), super().std(heads)
        return F.relu(mu + sigma * normal_like(mu, generator))

    def sample_prior(
        self, n: int, latent: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Codes:
        return F.relu(super().sample_prior(n, latent, generator, device))
