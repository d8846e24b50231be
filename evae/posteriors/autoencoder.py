"""Posteriors without noise: the plain autoencoder, the control without a posterior, and what regularised ones share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, torch
from evae.posteriors.base import Posterior, posterior

if TYPE_CHECKING:
    from evae.shapes import Codes, Heads


class Deterministic(Posterior):
    """Every image has one code, without noise and without a rate.

    There is no prior, so there is nothing that the codes could be measured against: no rate, no units that are active
    in standard deviations of a prior, no distance from one. The "prior samples" are standard normal numbers: they are
    drawn only so that generated images can be shown beside those of the other families.
    """

    heads: ClassVar[int] = 1
    rate_is: ClassVar = "none"

    @property
    def prior_std(self) -> float:
        return 1.0

    def mean(self, heads: Heads) -> Codes:
        return heads

    def std(self, heads: Heads) -> Codes:
        return torch.zeros_like(heads)

    def sample(self, heads: Heads, generator: torch.Generator) -> Codes:
        return heads

    def rate(self, heads: Heads) -> Codes:
        return torch.zeros_like(heads)

    def sample_prior(
        self, n: int, latent: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Codes:
        return torch.randn(n, latent, generator=generator, device=device)


@posterior
@dataclass(frozen=True, kw_only=True)
class Autoencoder(Deterministic):
    """The codes cost nothing, and nothing has made them resemble the samples of its prior."""

    family: ClassVar[str] = "autoencoder"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta != 1.0:
            raise UserError("an autoencoder has no rate for beta to weight: leave beta out.")
