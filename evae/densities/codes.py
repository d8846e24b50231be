"""The codes themselves: the lower end, which memorises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.densities.base import Density, Estimate, density
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from evae.shapes import Standardised


@density
@dataclass(frozen=True, kw_only=True)
class TrainingCodes(Density):
    """One of the codes, each as likely as any other. What is decoded of them are reconstructions of training images: no
    model that generates, but the distance which no density can be expected to get below.
    """

    family: ClassVar[str] = "codes"
    density_is: ClassVar = "none"

    def estimate(self, codes: Standardised, generator: torch.Generator) -> Resampled:
        return Resampled(codes.float())

    def restored(self, state: Mapping[str, Tensor]) -> Resampled:
        return Resampled(state["codes"])


@dataclass(frozen=True)
class Resampled(Estimate):
    codes: Standardised

    def sample(self, n: int, generator: torch.Generator) -> Standardised:
        return self.codes[torch.randint(len(self.codes), (n,), generator=generator)]

    def state(self) -> dict[str, Tensor]:
        return {"codes": self.codes}
