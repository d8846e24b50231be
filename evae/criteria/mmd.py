"""The maximum mean discrepancy between codes and prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.criteria.base import Criterion, Seen, criterion
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from jaxtyping import Float


@criterion
@dataclass(frozen=True, kw_only=True)
class MMD(Criterion):
    """Squared maximum mean discrepancy of a batch's codes from as many draws of the prior, with the sum of inverse
    multiquadratic kernels C / (C + |a - b|^2), C = 2 latent s for s = 0.1, 0.2, 0.5, 1, 2, 5, 10: the penalty of the
    WAE (Tolstikhin et al., arXiv 1711.01558, section 4), an unbiased estimate, which may be negative.
    """

    family: ClassVar[str] = "mmd"

    def term(self, seen: Seen) -> Float[torch.Tensor, ""]:
        codes, prior = seen.share.gather(seen.codes), seen.prior
        n = len(codes)
        if n < 2:
            return codes.sum() * 0.0
        within = (self._kernel(codes, codes) + self._kernel(prior, prior)).fill_diagonal_(0.0).sum() / (n * (n - 1))
        return within - 2 * self._kernel(codes, prior).mean()

    def _kernel(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        squared = (a[:, None] - b[None]).square().sum(2)
        scales = [2.0 * a.shape[1] * s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
        return sum((c / (c + squared) for c in scales), torch.zeros_like(squared))
