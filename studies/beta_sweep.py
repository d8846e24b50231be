"""How much distortion does a nat of rate save, with each posterior?

    python studies/beta_sweep.py

Trains every posterior family that has a rate to weight with a range of betas, and ends with a table of rate and
distortion, whose curve the report draws. The rate is the exact KL divergence from the prior where the table says
"exact": for Gaussians, for the EVAE's kernel with its own divergence, and for the mixture, which trains on
other terms and is only measured by it. The EVAE's own is a "bound" in its paper's sense, and not comparable.

With the defaults, on two cores, 12 configurations take 5 minutes. Expect distortion to rise and sharpness to fall with
beta, but for the EVAE, whose term hardly weighs.
"""

import sys
from dataclasses import dataclass

from evae.search.space import Space
from search_spaces.betas import FAMILIES, grid
from studies.cli import GridOptions, main, side_by_side

SHOWN = ("rate_nats", "distortion_nats", "elbo_nats", "gen_fd", "rec_sharpness", "active_units")


@dataclass(frozen=True, kw_only=True)
class BetaSweep(GridOptions):
    """The options of a grid, with a size for a laptop."""

    name: str = "beta-sweep"
    families: tuple[str, ...] = FAMILIES
    """Posterior families."""
    betas: tuple[float, ...] = (0.1, 1.0, 10.0)
    """Weights of the rate to train every family with."""
    size: str = "small"
    latent: int = 32
    epochs: int = 4
    batch_size: int = 64
    learning_rate: float = 3e-3
    objectives: tuple[str, ...] = ("gen_fd", "distortion_nats")

    @property
    def space(self) -> Space:
        return grid(self.families, self.betas)


if __name__ == "__main__":
    main(BetaSweep, sys.modules[__name__], closing=side_by_side(SHOWN))
