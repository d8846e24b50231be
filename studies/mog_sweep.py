"""What do a mixture posterior and a discriminator give a VAE: which mixture size, weights, start and latent size?

    python studies/mog_sweep.py
"""

import sys
from dataclasses import dataclass

from evae.tuning.options import StudyOptions
from evae.tuning.space import Space
from search_spaces.mog import space
from studies.cli import main


@dataclass(frozen=True, kw_only=True)
class MogSweep(StudyOptions):
    """The options of a study, with a size for a laptop."""

    name: str = "mog-sweep"
    size: str = "tiny"
    latent: int = 32
    epochs: int = 6
    batch_size: int = 50
    learning_rate: float = 1e-3
    objectives: tuple[str, ...] = ("gen_fd", "gen_sharpness")
    trials: int = 8
    mixture_sizes: tuple[int, ...] = (10, 500)
    """Mixture sizes to search besides the batch's: smaller ones cut the batch, greater ones take recent images in."""

    @property
    def space(self) -> Space:
        return space(self.base_recipe(), self.mixture_sizes)


if __name__ == "__main__":
    main(MogSweep, sys.modules[__name__])
