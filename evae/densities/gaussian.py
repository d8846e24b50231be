"""One Gaussian with a full covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.densities.base import Density, density
from evae.densities.components import RIDGE, Components, check_room
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from evae.shapes import Standardised


@density
@dataclass(frozen=True, kw_only=True)
class GaussianDensity(Density):
    """The Gaussian with the codes' mean and covariance: the least that an ex-post density can be."""

    family: ClassVar[str] = "gaussian"
    density_is: ClassVar = "exact"
    on_device: ClassVar = True
    most_of_map: ClassVar = 2048

    def estimate(self, codes: Standardised, generator: torch.Generator) -> Components:
        latent = codes.shape[1]
        check_room(1, latent)
        covariance = codes.T @ codes / len(codes) + RIDGE * torch.eye(latent, dtype=codes.dtype, device=codes.device)
        factor = torch.linalg.cholesky(covariance).cpu()
        return Components(factor.new_ones(1), factor.new_zeros(1, latent), factor[None])

    def restored(self, state: Mapping[str, Tensor]) -> Components:
        return Components.of(state)
