"""The posterior of MoG-VAE: per-image Gaussians that only as a mixture have to resemble the prior.

Rivera, "How to train your VAE" (arXiv 2309.13160); equations after the paper's official code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from evae.errors import UserError, unknown
from evae.lazy import TYPE_CHECKING, torch
from evae.posteriors.base import MIN_WIDTH, Recent, posterior
from evae.posteriors.gaussian import Gaussian

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.ranks import Share
    from evae.shapes import Heads

READINGS = ("means", "moments")


@posterior
@dataclass(frozen=True, kw_only=True)
class Mixture(Gaussian):
    """N(mu, sigma^2) for each latent and image; the loss asks of their mixture what a VAE asks of each.

    `population`, weighted by `population_beta`, is KL(N(M, T) || N(0, 1)) summed over latents, with M the mean of a
    mixture's mu and T its variance: by the `reading` "means" the variance of the mu alone, as in the official code,
    by "moments" that plus the mean sigma^2, the variance of the mixture itself. Where both terms are least, sampled
    codes have by the first a variance of 2, half of it from the means; by the second 1, the prior's, and the means
    none: only the distortion keeps them apart, as in a VAE.

    `individual`, weighted by `individual_beta`, is the sum over latents of sigma^2 - 1 - ln sigma^2: twice the KL
    divergence from N(0, 1) of an image's Gaussian without its mean. It keeps sigma from collapsing.

    Together they bound nothing: the information that a code carries about its image costs nothing here. The rate
    is still the exact KL divergence of each image's Gaussian, so that it can be compared with a VAE's, and so is
    the ELBO that follows from it; they are measured, and not trained.

    `mixture_size` is the number of Gaussians in a mixture; None makes each batch one (in validation, up to 500
    images at once). A batch is cut in mixtures in order. One that the batch does not fill, because it is smaller or
    leaves a remainder, is filled with the codes before it: of this batch, then of earlier ones, as many as there have
    been (`Recent`). They count in M and T and have no gradient; the gradient of the others is scaled up as if they
    had, so that an image weighs the same in every mixture. Batches are those of all ranks.

    Of few codes ln T is biased: with mu from N(0, 1) itself, `population` is not 0 but 0.1103 nats per latent for
    10 of them, 0.0101 for 100. `unbiased` corrects that for normally distributed mu: exactly by the first
    reading, to first order in 1/n by the second. By the first reading it is a constant of the mixture's size, so
    values of different sizes can be compared and the training stays as it is.

    By the first reading identical codes, or one alone, would cost an infinity: 1e-8 is added to T in its logarithm, as
    if no mixture were narrower than the narrowest posterior of other families. At 0 they cost 8.7 nats per latent.
    """

    family: ClassVar[str] = "mixture"

    population_beta: float = 1.0
    individual_beta: float = 0.1
    reading: str = "means"
    unbiased: bool = False
    mixture_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta != 1.0:
            raise UserError("a mixture weighs its terms by population_beta and individual_beta: leave beta out.")
        self._require("population_beta", at_least=0.0)
        self._require("individual_beta", at_least=0.0)
        if self.reading not in READINGS:
            raise unknown("reading", self.reading, READINGS)
        if self.mixture_size is not None and self.mixture_size < 2:
            raise UserError(
                f"mixture_size must be at least 2, got {self.mixture_size}: leave it out for mixtures of a whole "
                "batch, or use the gaussian posterior for images that stand alone."
            )

    @property
    def weights(self) -> dict[str, float]:
        return {"population": self.population_beta, "individual": self.individual_beta}

    @property
    def memory(self) -> int:
        return self.mixture_size or 0

    def terms(self, heads: Heads, share: Share, recent: Recent | None = None) -> dict[str, Float[Tensor, ""]]:
        whole = share.gather(heads)
        before = whole[:0] if recent is None else recent.heads
        _, log_variance = heads.chunk(2, dim=-1)
        terms = super().terms(heads, share) | {
            "population": self._population(whole, before),
            "individual": (torch.expm1(log_variance) - log_variance).sum() / len(heads),
        }
        if recent is not None:
            recent.push(whole)
        return terms

    def _population(self, whole: Heads, before: Float[Tensor, "past heads_latent"]) -> Float[Tensor, ""]:
        """The mean over the batch's images of what their mixture costs."""
        size = self.mixture_size or len(whole)
        full = len(whole) // size * size
        total = whole.new_zeros(())
        if full:
            total = self.divergence(whole[:full].unflatten(0, (-1, size))).sum() * size
        if rest := len(whole) - full:
            known = torch.cat([before, whole[:full]]).detach()
            known = known[max(0, len(known) - (size - rest)) :]
            scale = (len(known) + rest) / rest
            fixed = whole[full:].detach()
            # The value of the heads, and `scale` times their gradient.
            steeper = fixed + scale * (whole[full:] - fixed)
            total = total + self.divergence(torch.cat([known, steeper])).sum() * rest
        return total / len(whole)

    def divergence(self, heads: Float[Tensor, "*mixtures n heads_latent"]) -> Float[Tensor, "*mixtures latent"]:
        """Nats for each latent: KL(N(M, T) || N(0, 1)) of mixtures of n Gaussians; corrected if asked for."""
        mu, log_variance = heads.chunk(2, dim=-1)
        n = mu.shape[-2]
        spread = mu.var(-2, correction=0)
        noise = log_variance.exp().mean(-2) if self.reading == "moments" else torch.zeros_like(spread)
        floor = MIN_WIDTH**2
        second_moment = mu.mean(-2).square() + spread + noise
        # A variance of one code has no bias that could be corrected.
        if not self.unbiased or n < 2:
            return 0.5 * (second_moment - 1 - torch.log(spread + noise + floor))
        # M^2 + V needs no correction: what V lacks on average, M^2 has too much.
        spread = spread * (n / (n - 1))
        total = spread + noise + floor
        # Noise does not vary from sample to sample, which leaves less of the bias (second-order expansion of ln).
        return 0.5 * (second_moment - 1 - torch.log(total) - log_bias(n) * (spread / total).square())


@cache
def log_bias(n: int) -> float:
    """What E ln S lacks to ln v, in nats, for the unbiased variance S of n normal numbers of variance v.

    S is v chi^2 / (n - 1) with n - 1 degrees of freedom, and E ln chi^2 with k of them is digamma(k / 2) + ln 2.
    """
    half = (n - 1) / 2
    return math.log(half) - float(torch.digamma(torch.tensor(half, dtype=torch.float64)))
