"""Which posterior should a VAE have: which kernel, bandwidth, prior width and weight?

    python studies/kernel_sweep.py

Trains the controls (VAE, beta-VAE, autoencoder, the EVAE of the paper) and then what Optuna's multi-objective search
suggests, and draws the front between the distance of samples from real images and the sharpness of reconstructions.
"""

import sys
from dataclasses import dataclass

from evae.tuning.options import StudyOptions
from search_spaces.kernels import SPACE
from studies.cli import main


@dataclass(frozen=True, kw_only=True)
class KernelSweep(StudyOptions):
    """The options of a study, with a size for a laptop."""

    space = SPACE

    name: str = "kernel-sweep"
    size: str = "tiny"
    latent: int = 32
    epochs: int = 10


if __name__ == "__main__":
    main(KernelSweep, sys.modules[__name__])
