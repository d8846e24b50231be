"""Which posterior should a VAE have: which kernel, bandwidth, prior width and weight?

    python studies/kernel_sweep.py

Trains the controls (VAE, beta-VAE, autoencoder, the EVAE of the paper) and then what Optuna's multi-objective search
suggests, and draws the front between the distance of samples from real images and the sharpness of reconstructions.
"""

import sys
from dataclasses import dataclass

from search_spaces.kernels import SPACE
from evae.tuning.options import StudyOptions
from studies.cli import main


@dataclass(frozen=True, kw_only=True)
class KernelSweep(StudyOptions):
    name: str = "kernel-sweep"
    size: str = "tiny"
    latent: int = 32
    epochs: int = 10


if __name__ == "__main__":
    main(KernelSweep, SPACE, sys.modules[__name__])
