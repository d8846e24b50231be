"""A density of one's own: codes uniform between their least and greatest values, latent by latent.

python -m evae.testing examples/box.py
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from evae.densities import Density, Estimate, density


@density
@dataclass(frozen=True, kw_only=True)
class Box(Density):
    """Knows the range of each latent, and nothing else of the codes."""

    family: ClassVar[str] = "box"
    density_is: ClassVar = "exact"

    def estimate(self, codes, generator):
        return Filled(codes.amin(0), codes.amax(0))

    def restored(self, state):
        return Filled(**state)


@dataclass(frozen=True)
class Filled(Estimate):
    low: torch.Tensor
    high: torch.Tensor

    def sample(self, n, generator):
        drawn = torch.rand(n, len(self.low), generator=generator, dtype=torch.float64)
        return self.low + drawn * (self.high - self.low)

    def log_density(self, codes):
        inside = ((codes >= self.low) & (codes <= self.high)).all(1)
        return torch.where(inside, 0.0, -torch.inf) - (self.high - self.low).log().sum()

    def state(self):
        return {"low": self.low, "high": self.high}
