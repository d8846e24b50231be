"""A kernel density on the codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.densities.base import Density, Estimate, density
from evae.errors import unknown
from evae.kernels import KERNELS, Kernel, get_kernel
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import optuna
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Standardised

RULES = ("likelihood", "scott", "silverman")
HELD_OUT = 5
"""One code of so many is held out to choose a bandwidth by."""
NARROWEST, WIDEST, TRIED = 0.02, 2.0, 40
"""The bandwidths tried, in equal ratios: a step is 12 %."""
PAIRS = 4_000_000
"""So many pairs of codes are compared at once."""


@density
@dataclass(frozen=True, kw_only=True)
class KernelDensity(Density):
    """The mean of kernels at all codes, each the product of one `kernel` for every latent, all of them of the standard
    deviation `bandwidth` (in standard deviations of the latent).

    Without a bandwidth it is chosen by `rule`: the Gaussian kernel's of Scott or Silverman (Silverman 1986, eq. 4.14),
    or with the greatest likelihood of codes held out. Another kernel then has the bandwidth of equal smoothing: that
    with the same variance term of the mean squared error (Marron & Nolan 1988, in several dimensions). The likelihood
    is that of the Gaussian kernel for all, since a kernel of compact support gives none to a code out of its reach.
    """

    family: ClassVar[str] = "kde"
    density_is: ClassVar = "exact"

    kernel: str = "epanechnikov"
    bandwidth: float | None = None
    rule: str = "likelihood"

    def __post_init__(self) -> None:
        get_kernel(self.kernel)
        if self.bandwidth is not None:
            self._require("bandwidth", 1e-6, 1e3)
        if self.rule not in RULES:
            raise unknown("bandwidth rule", self.rule, RULES)

    @classmethod
    def suggest(cls, trial: optuna.trial.BaseTrial) -> KernelDensity:
        return cls(
            kernel=trial.suggest_categorical("kde_kernel", list(KERNELS)),
            bandwidth=trial.suggest_float("kde_bandwidth", 0.05, 2.0, log=True),
        )

    def estimate(self, codes: Standardised, generator: torch.Generator) -> Smoothed:
        bandwidth = self.bandwidth or self._chosen(codes, generator) * equal_smoothing(self.kernel, codes.shape[1])
        return Smoothed(codes.float(), get_kernel(self.kernel).rescaled(bandwidth**2))

    def _chosen(self, codes: Standardised, generator: torch.Generator) -> float:
        n, d = codes.shape
        if self.rule == "likelihood":
            return most_likely(codes[torch.randperm(n, generator=generator)])
        return (1.0 if self.rule == "scott" else 4 / (d + 2)) ** (1 / (d + 4)) * n ** (-1 / (d + 4))

    def restored(self, state: Mapping[str, Tensor]) -> Smoothed:
        return Smoothed(state["codes"], get_kernel(self.kernel).rescaled(float(state["bandwidth"]) ** 2))


def equal_smoothing(kernel: str, latents: int) -> float:
    """How many times the Gaussian kernel's standard deviation one of this shape has for the same smoothing."""
    shape, gauss = (get_kernel(name).rescaled(1.0).roughness for name in (kernel, "gaussian"))
    return (shape / gauss) ** (latents / (latents + 4))


def most_likely(codes: Standardised) -> float:
    """The Gaussian kernel's bandwidth for the first codes that makes the last fifth of them most likely."""
    held = max(1, len(codes) // HELD_OUT)
    known, unseen = codes[:-held], codes[-held:]
    tried = torch.logspace(math.log10(NARROWEST), math.log10(WIDEST), TRIED, dtype=codes.dtype)

    def likelihoods(part: Tensor) -> Tensor:
        squared = torch.cdist(part, known, compute_mode="donot_use_mm_for_euclid_dist").square()
        each = [torch.logsumexp(-0.5 * squared / h**2, 1) - codes.shape[1] * h.log() for h in tried]
        return torch.stack(each, 1)

    return float(tried[in_parts(likelihoods, unseen, len(known)).mean(0).argmax()])


def in_parts(function: Callable[[Tensor], Tensor], codes: Tensor, others: int) -> Tensor:
    """The function's rows for all codes, each of which it compares with that many others."""
    return torch.cat([function(part) for part in codes.split(max(1, PAIRS // others))])


@dataclass(frozen=True)
class Smoothed(Estimate):
    codes: Standardised
    kernel: Kernel

    def sample(self, n: int, generator: torch.Generator) -> Standardised:
        centres = self.codes[torch.randint(len(self.codes), (n,), generator=generator)]
        return centres + self.kernel.sample(centres.shape, generator, dtype=torch.float64)

    def log_density(self, codes: Standardised) -> Float[Tensor, " n"]:
        centres = self.codes.double()

        def log_densities(part: Tensor) -> Tensor:
            total = part.new_zeros(len(part), len(centres))
            for latent in range(part.shape[1]):
                total += self.kernel.density(part[:, latent, None] - centres[:, latent]).log()
            return torch.logsumexp(total, 1) - math.log(len(centres))

        return in_parts(log_densities, codes, len(centres))

    def state(self) -> dict[str, Tensor]:
        return {"codes": self.codes, "bandwidth": torch.tensor(math.sqrt(self.kernel.variance), dtype=torch.float64)}
