"""A posterior of one's own: Student's t about the mean, searched beside ours.

python studies/kernel_sweep.py --plugin examples/student_t.py --trials 12
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from evae.errors import UserError
from evae.posteriors import Posterior, posterior


@posterior
@dataclass(frozen=True, kw_only=True)
class StudentT(Posterior):
    """z = mu + r t with t from Student's distribution of `freedom` degrees of freedom, against N(0, 1).

    The encoder yields mu and r. More than two degrees of freedom are needed, where the variance is freedom /
    (freedom - 2), and the KL divergence finite.
    """

    family: ClassVar[str] = "student-t"
    heads: ClassVar[int] = 2
    rate_is: ClassVar = "exact"

    freedom: float = 8.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.freedom > 2:
            raise UserError(f"freedom of the student-t posterior must be above 2, got {self.freedom}")

    @classmethod
    def suggest(cls, trial):
        """What a search varies."""
        return cls(
            beta=trial.suggest_float("beta", 1e-2, 1e1, log=True),
            freedom=trial.suggest_float("freedom", 2.5, 50.0, log=True),
        )

    @property
    def prior_std(self) -> float:
        return 1.0

    @property
    def variance(self) -> float:
        """Of t."""
        return self.freedom / (self.freedom - 2)

    @property
    def entropy(self) -> float:
        """Of t, in nats."""
        half, more = torch.tensor([self.freedom / 2, (self.freedom + 1) / 2], dtype=torch.float64)
        log_beta = torch.lgamma(half) + math.lgamma(0.5) - torch.lgamma(more)
        slope = torch.digamma(more) - torch.digamma(half)
        return float(more * slope + 0.5 * math.log(self.freedom) + log_beta)

    def split(self, heads):
        mu, raw = heads.chunk(2, dim=-1)
        return mu, F.softplus(raw) + 1e-4

    def mean(self, heads):
        return self.split(heads)[0]

    def std(self, heads):
        return self.split(heads)[1] * math.sqrt(self.variance)

    def sample(self, heads, generator):
        """A normal number over the root of a chi-square, the latter by Bailey's polar method (Math. Comp. 62, 1994), so
        that all randomness is the generator's."""
        mu, r = self.split(heads)
        u, v = torch.rand(2, *mu.shape, generator=generator, device=mu.device, dtype=torch.float64)
        tail = self.freedom * torch.expm1(-2 / self.freedom * torch.log1p(-u))
        t = tail.sqrt() * torch.cos(2 * math.pi * v)
        return mu + r * t.to(mu.dtype)

    def rate(self, heads):
        """KL(q || N(0, 1)): cross-entropy, which takes two moments only, less entropy."""
        mu, r = self.split(heads)
        cross = 0.5 * math.log(2 * math.pi) + 0.5 * (mu * mu + self.variance * r * r)
        return cross - self.entropy - torch.log(r)

    def sample_prior(self, n, latent, generator, device="cpu"):
        return torch.randn(n, latent, generator=generator, device=device)
