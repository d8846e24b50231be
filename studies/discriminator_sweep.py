"""What does a discriminator do to a MoG-VAE: how much weight should it have, and from which epoch?

    python studies/discriminator_sweep.py

Trains the mixture with the official code's constants without a discriminator, and with one of every weight from every
start; `--losses logistic hinge` compares the losses too. A discriminator that wins ends its trial, which is recorded
with the reason. Ends with a table of all.

With the defaults, on two cores, 7 configurations take 3 minutes. Expect every discriminator to bring samples nearer to
real images, those of greater weight and earlier start most.
"""

import sys
from dataclasses import dataclass

from evae.search.space import Space
from search_spaces.discriminators import grid
from studies.cli import GridOptions, main, side_by_side

SHOWN = ("gen_fd", "rec_fd", "gen_sharpness", "rec_sharpness", "real_sharpness", "rec_psnr_db", "active_units")


@dataclass(frozen=True, kw_only=True)
class DiscriminatorSweep(GridOptions):
    """The options of a grid, with a size for a laptop."""

    name: str = "discriminator-sweep"
    weights: tuple[float, ...] = (10.0, 100.0, 1000.0)
    """Weights of the adversarial loss; the official code's is 100."""
    starts: tuple[int, ...] = (1, 4)
    """First epochs of the discriminator."""
    losses: tuple[str, ...] = ("logistic",)
    """Adversarial losses: logistic, hinge."""
    size: str = "tiny"
    latent: int = 32
    epochs: int = 6
    batch_size: int = 50
    learning_rate: float = 1e-3

    @property
    def space(self) -> Space:
        return grid(self.weights, self.starts, self.losses)


if __name__ == "__main__":
    main(DiscriminatorSweep, sys.modules[__name__], closing=side_by_side(SHOWN))
