"""What do a mixture posterior and a discriminator give a VAE: which mixture size, weights, start and latent size?

    python studies/mog_sweep.py
    python studies/mog_sweep.py --name mog-photos --data photos
    python studies/mog_sweep.py --name mog-faces --data folder:CelebA-HQ --image-size 256 --network resnet_v2

Trains the controls (the MoG-VAE with the official code's constants; at the study's latent size and learning rate the
MoG-VAE, the same by the moment-matched reading, the same without its discriminator, and the code's own baseline, a VAE
with the standard KL) and then what Optuna's multi-objective search suggests. The goals are samples from the prior that
are close to real images, and reconstructions as sharp as they.

The first two commands are for two cores, with the convolutional networks of the EVAE at a quarter of their width, and
take 4 minutes each. Expect the discriminator to bring samples nearer and the sharpness of digits close to that of real
ones; the official constants, with 512 latents, are far from trained by then. The third is the official setting, for a
GPU (not tried yet); so are `--image-size 128` or 256, and `--data folder:CelebA-HQ`.
"""

import sys
from dataclasses import dataclass

from evae.search.space import Space
from evae.study.options import StudyOptions
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
    trials: int = 8
    confirm: int = 0
    """Fresh seeds, at the end, for what the search has chosen; with 2 the report can say what differs by more than
    noise, and the study takes three times as long."""
    mixture_sizes: tuple[int, ...] = (10, 500)
    """Mixture sizes to search besides the batch's: smaller ones cut the batch, greater ones take recent images in."""

    @property
    def space(self) -> Space:
        return space(self.base_recipe(), self.mixture_sizes)


if __name__ == "__main__":
    main(MogSweep, sys.modules[__name__])
