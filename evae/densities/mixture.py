"""A mixture of Gaussians with full covariances: the usual ex-post density."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from evae.densities.base import Density, Estimate, Layout, density
from evae.densities.components import Components, check_room
from evae.densities.expectation import maximised
from evae.densities.gaussian import GaussianDensity
from evae.densities.low_rank import LowRank, leading
from evae.errors import NotFitted
from evae.hardware import threads_of_torch
from evae.lazy import TYPE_CHECKING, torch
from evae.quiet import ignored
from evae.registry import LATER

if TYPE_CHECKING:
    from collections.abc import Mapping

    import optuna
    from torch import Tensor

    from evae.shapes import Standardised

CODES_EACH = 2
"""Codes that each component has, at least, for each direction of a code map."""


@density
@dataclass(frozen=True, kw_only=True)
class MixtureDensity(Density):
    """`components` Gaussians, fitted by expectation maximisation from a k-means start until the mean log likelihood
    gains less than `tolerance` (nats) in an iteration: with 10 components the ex-post density of Ghosh et al. (arXiv
    1903.12436, section 4).

    Of code maps of more than `directions` numbers, which have too many covariances for the codes that there are, it is
    a mixture along their leading principal directions, so many or as few as leaves each component two codes for a
    direction, and one Gaussian of equal variance across these: each component as a probabilistic principal component
    analysis has it (Tipping & Bishop, J. R. Statist. Soc. B 61 (1999), 611-622), with the directions and the variance
    across them in common.
    """

    family: ClassVar[str] = "mixture"
    density_is: ClassVar = "exact"
    on_device: ClassVar = True

    components: int = 10
    iterations: int = 2000
    tolerance: float = 1e-3
    directions: int = field(default=32, metadata=LATER)

    def __post_init__(self) -> None:
        self._require("components", 1)
        self._require("iterations", 1)
        self._require("tolerance", 0.0)
        self._require("directions", 1)

    @classmethod
    def suggest(cls, trial: optuna.trial.BaseTrial) -> MixtureDensity:
        return cls(components=trial.suggest_int("mixture_components", 1, 100, log=True))

    def estimate(self, codes: Standardised, generator: torch.Generator) -> Components:
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        if self.components > len(codes):
            raise NotFitted(
                f"{self.components} components are more than the {len(codes)} codes: give at most as many components"
            )
        check_room(self.components, codes.shape[1])
        if self.components == 1:
            return GaussianDensity().estimate(codes, generator)
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        # Where codes repeat, there are fewer clusters: these components are empty.
        with ignored(ConvergenceWarning), threads_of_torch():
            clusters = KMeans(self.components, n_init=1, random_state=seed).fit(codes.cpu().numpy())
        labels = torch.from_numpy(clusters.labels_).long().to(codes.device)
        return maximised(codes, labels, self.components, self.tolerance, self.iterations)[0]

    def estimate_map(self, codes: Standardised, generator: torch.Generator, layout: Layout) -> Estimate:
        # Of a covariance along more directions than a component has codes, held-out codes would be infinitely far.
        most = max(1, min(self.directions, len(codes) // (CODES_EACH * self.components)))
        if not layout.is_map or codes.shape[1] <= most:
            return self.estimate(codes, generator)
        directions, across = leading(codes, most)
        return LowRank(directions.cpu(), across.cpu(), self.estimate(codes @ directions, generator))

    def said_of(self, shape: tuple[int, ...]) -> str:
        if len(shape) == 1 or math.prod(shape) <= self.directions:
            return ""
        most = self.directions
        return f"on code maps of more than {most} numbers, the mixture is one along at most {most} leading directions"

    def restored(self, state: Mapping[str, Tensor]) -> Estimate:
        return LowRank.of(state) if "directions" in state else Components.of(state)
