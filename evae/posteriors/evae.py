"""The EVAE of Qin & Huang, arXiv 2405.12783v2: a kernel posterior smoothed by its own prior."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import unknown
from evae.kernels import Kernel, get_kernel
from evae.lazy import TYPE_CHECKING, torch
from evae.posteriors.base import Posterior, normal_like, positive, posterior

if TYPE_CHECKING:
    from evae.shapes import Codes, Heads

PRIORS = ("uniform", "gaussian")


@posterior
@dataclass(frozen=True, kw_only=True)
class Evae(Posterior):
    """z = b (mu + r k) + U with k from the kernel and U from the prior (eq. 12 and algorithm 1).

    `bandwidth` is b, by default 100^(-2/9). The uniform prior is Unif[-B/2, B/2] with B = `prior_width`; the
    Gaussian one is B N(0, 1) (appendix G.2). `sample_size` is the M of the rate below; the paper sets it to
    its batch size and b to M^(-2/9), here both stand alone, so that another batch size does not change the loss. With
    `equal_variance` the kernel is rescaled to the Epanechnikov kernel's variance 1/5, so that r means the
    same standard deviation for every kernel.

    The rate is B I(K) / (M r) for each latent: eq. 10, for the Epanechnikov kernel 3 B / (5 M r). It is the
    limit of a bound on the KL divergence from the prior as M grows and b shrinks. At the default settings it
    is not an upper bound: the posterior reaches outside a uniform prior, so that the divergence itself is
    infinite. mu is not regularised at all, so nothing draws the codes towards the prior. The encoder yields
    mu and r (by softplus; the paper does not say how r is kept positive).
    """

    family: ClassVar[str] = "evae"
    heads: ClassVar[int] = 2
    rate_is: ClassVar = "bound"

    kernel: str = "epanechnikov"
    bandwidth: float = 100 ** (-2 / 9)
    prior: str = "uniform"
    prior_width: float = 0.1
    sample_size: int = 100
    equal_variance: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        get_kernel(self.kernel)
        if self.prior not in PRIORS:
            raise unknown("prior", self.prior, PRIORS)
        self._require("bandwidth", above=0.0)
        self._require("prior_width", above=0.0)
        self._require("sample_size", at_least=1.0)

    @property
    def shape(self) -> Kernel:
        """The kernel that r stretches."""
        kernel = get_kernel(self.kernel)
        return kernel.rescaled(get_kernel("epanechnikov").variance) if self.equal_variance else kernel

    @property
    def prior_std(self) -> float:
        return self.prior_width / math.sqrt(12) if self.prior == "uniform" else self.prior_width

    def mean(self, heads: Heads) -> Codes:
        return self.bandwidth * heads.chunk(2, dim=-1)[0]

    def std(self, heads: Heads) -> Codes:
        r = positive(heads.chunk(2, dim=-1)[1])
        return torch.sqrt(self.bandwidth**2 * self.shape.variance * r * r + self.prior_std**2)

    def sample(self, heads: Heads, generator: torch.Generator) -> Codes:
        mu, raw = heads.chunk(2, dim=-1)
        k = self.shape.sample(mu.shape, generator, mu.device, mu.dtype)
        return self.bandwidth * (mu + positive(raw) * k) + self._prior_like(mu, generator)

    def rate(self, heads: Heads) -> Codes:
        r = positive(heads.chunk(2, dim=-1)[1])
        return self.prior_width * self.shape.roughness / (self.sample_size * r)

    def sample_prior(
        self, n: int, latent: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Codes:
        return self._prior_like(torch.empty(n, latent, device=device), generator)

    def _prior_like(self, z: Codes, generator: torch.Generator) -> Codes:
        if self.prior == "gaussian":
            return self.prior_width * normal_like(z, generator)
        uniform = torch.rand(z.shape, generator=generator, device=z.device, dtype=z.dtype)
        return self.prior_width * (uniform - 0.5)
