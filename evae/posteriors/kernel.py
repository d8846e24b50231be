"""The kernel posterior with its exact KL divergence: what the EVAE's rate only approaches in a limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError, unknown
from evae.kernels import KERNELS, Kernel, get_kernel
from evae.lazy import TYPE_CHECKING, F, torch
from evae.posteriors.base import MIN_WIDTH, Posterior, positive, posterior

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Codes, Heads

PRIORS = ("gaussian", "uniform")
# Unif[-c, c] with unit variance like the Gaussian prior. Another c would only rescale z, mu and r together:
# the rate does not change, and the decoder's first layer absorbs the factor.
HALF_WIDTH = math.sqrt(3)


@posterior
@dataclass(frozen=True, kw_only=True)
class KernelKL(Posterior):
    """z = mu + r k with k from a kernel of unit variance, so that r is the posterior's standard deviation.

    The prior is N(0, 1), or Unif[-sqrt 3, sqrt 3] for kernels of compact support. Under the uniform prior the
    encoder's numbers are mapped so that the posterior's support stays inside the prior's, where the
    divergence is finite: the support's half-width is a share of the prior's, and mu moves in the room that
    this leaves.
    """

    family: ClassVar[str] = "kernel"
    heads: ClassVar[int] = 2
    rate_is: ClassVar = "exact"

    kernel: str = "epanechnikov"
    prior: str = "gaussian"

    def __post_init__(self) -> None:
        super().__post_init__()
        kernel = get_kernel(self.kernel)
        if self.prior not in PRIORS:
            raise unknown("prior", self.prior, PRIORS)
        if self.prior == "uniform" and math.isinf(kernel.support):
            compact = ", ".join(sorted(name for name, k in KERNELS.items() if math.isfinite(k.support)))
            raise UserError(
                f"the {self.kernel} kernel reaches outside any uniform prior, where the rate is infinite: "
                f"use prior gaussian, or one of the kernels {compact}."
            )

    @property
    def shape(self) -> Kernel:
        """The kernel that r stretches."""
        return get_kernel(self.kernel).rescaled(1.0)

    @property
    def prior_std(self) -> float:
        return 1.0

    def mean(self, heads: Heads) -> Codes:
        return self._parameters(heads)[0]

    def std(self, heads: Heads) -> Codes:
        return self._parameters(heads)[1]

    def sample(self, heads: Heads, generator: torch.Generator) -> Codes:
        mu, r = self._parameters(heads)
        return mu + r * self.shape.sample(mu.shape, generator, mu.device, mu.dtype)

    def rate(self, heads: Heads) -> Codes:
        mu, r = self._parameters(heads)
        if self.prior == "gaussian":
            return kl_to_normal(self.shape, mu, r)
        return kl_to_uniform(self.shape, r, HALF_WIDTH)

    def log_density(self, heads: Heads, codes: Codes) -> Codes:
        mu, r = self._parameters(heads)
        t, limits = (codes - mu) / r, torch.finfo(codes.dtype)
        if math.isfinite(self.shape.support):
            # By rounding, a draw near the edge of a compact kernel comes out on it, or beyond.
            slack = 4 * limits.eps * (self.shape.support + (codes.abs() + mu.abs()) / r)
            edge = self.shape.support * (1 - limits.eps)
            t = torch.where(t.abs() <= self.shape.support + slack, t.clamp(-edge, edge), t)
        return torch.log(self.shape.density(t).clamp(min=limits.tiny)) - torch.log(r)

    def prior_log_density(self, codes: Codes) -> Codes:
        if self.prior == "gaussian":
            return -0.5 * (codes.square() + math.log(2 * math.pi))
        # A posterior whose support ends where the prior's does may reach beyond it by rounding.
        inside = codes.abs() <= HALF_WIDTH * (1 + 4 * torch.finfo(codes.dtype).eps)
        return torch.full_like(codes, -math.log(2 * HALF_WIDTH)).masked_fill(~inside, -math.inf)

    def sample_prior(
        self, n: int, latent: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Codes:
        if self.prior == "gaussian":
            return torch.randn(n, latent, generator=generator, device=device)
        return HALF_WIDTH * (2 * torch.rand(n, latent, generator=generator, device=device) - 1)

    def _parameters(self, heads: Heads) -> tuple[Codes, Codes]:
        """mu and r."""
        mu, raw = heads.chunk(2, dim=-1)
        if self.prior == "gaussian":
            return mu, positive(raw)
        share = MIN_WIDTH + (1 - MIN_WIDTH) * F.sigmoid(raw)
        return HALF_WIDTH * (1 - share) * F.tanh(mu), HALF_WIDTH * share / self.shape.support


def kl_to_normal(kernel: Kernel, mu: Float[Tensor, "*shape"], r: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """KL divergence in nats of the density of mu + r k from N(0, 1)."""
    # Cross-entropy minus entropy; the first needs only two moments of k.
    cross_entropy = 0.5 * math.log(2 * math.pi) + 0.5 * (mu * mu + kernel.variance * r * r)
    return cross_entropy - kernel.entropy - torch.log(r)


def kl_to_uniform(kernel: Kernel, r: Float[Tensor, "*shape"], half_width: float) -> Float[Tensor, "*shape"]:
    """KL divergence in nats of the density of mu + r k from Unif[-half_width, half_width].

    It does not depend on mu as long as |mu| + r * kernel.support <= half_width, which the caller has to
    ensure; otherwise the divergence is infinite.
    """
    return math.log(2 * half_width) - kernel.entropy - torch.log(r)
