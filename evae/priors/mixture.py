"""A learned mixture of Gaussians as the prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import nn
from evae.priors.base import Prior, prior


@prior
@dataclass(frozen=True, kw_only=True)
class MixturePrior(Prior):
    """`components` Gaussians with diagonal covariances, whose means, widths and weights are learned with the model: the
    mixture-of-Gaussians prior beside which Tomczak & Welling (arXiv 1705.07120, section 4) set the VampPrior.
    """

    family: ClassVar[str] = "mixture"

    components: int = 10

    def __post_init__(self) -> None:
        if self.components < 1:
            raise UserError(f"the mixture prior needs at least 1 component, got {self.components}")

    def build(self, latent: int) -> nn.Module:
        from evae.priors.gaussians import Gaussians

        return Gaussians(self.components, latent)
