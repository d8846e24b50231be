"""A mixture of Gaussians with full covariances, as fitted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evae.densities.base import Estimate
from evae.errors import NotFitted
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Standardised

RIDGE = 1e-6
"""Added to the variances of standardised codes, so that a covariance has an inverse where latents depend on each other
or codes are few. Scikit-learn's default."""

MOST = 1 << 26
"""Numbers that all covariances together may have: 512 MiB, and their fit takes several times that."""


def check_room(components: int, latents: int) -> None:
    """Raise NotFitted for full covariances of codes with so many numbers that there is no room for them."""
    if components * latents**2 > MOST:
        given = f"{components} full covariances" if components > 1 else "a full covariance"
        raise NotFitted(
            f"{given} of codes with {latents:,} numbers would take {components * latents**2 * 8 / 1e9:,.1f} GB: take a "
            "density that is made for code maps, or smaller codes"
        )


@dataclass(frozen=True)
class Components(Estimate):
    """`factors` are the lower Cholesky factors of the covariances."""

    weights: Float[Tensor, " k"]
    means: Float[Tensor, "k latent"]
    factors: Float[Tensor, "k latent latent"]

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Components:
        weights, means, factors = (state[name] for name in ("weights", "means", "factors"))
        if (*means.shape, means.shape[1]) != factors.shape or len(weights) != len(means):
            raise ValueError
        return cls(weights, means, factors)

    def sample(self, n: int, generator: torch.Generator) -> Standardised:
        chosen = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        codes = torch.randn(n, self.means.shape[1], generator=generator, dtype=torch.float64)
        for component, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            rows = chosen == component
            codes[rows] = mean + codes[rows] @ factor.T
        return codes

    def log_density(self, codes: Standardised) -> Float[Tensor, " n"]:
        constant = 0.5 * codes.shape[1] * math.log(2 * math.pi)
        each = []
        for mean, factor in zip(self.means, self.factors, strict=True):
            away = torch.linalg.solve_triangular(factor, (codes - mean).T, upper=False)
            each.append(-0.5 * away.square().sum(0) - factor.diagonal().log().sum() - constant)
        return torch.logsumexp(torch.stack(each) + self.weights.log()[:, None], 0)

    def state(self) -> dict[str, Tensor]:
        return {"weights": self.weights, "means": self.means, "factors": self.factors}
